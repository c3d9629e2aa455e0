import Dialects
import Engine
import MultipartForm
import Uploads

/// Reads the body of one request in the way that its dialect asks for.
///
/// Every body is read to its end, up to a limit, whatever becomes of it: several clients can not see an answer that
/// comes while they are sending (docs/dialects/README.md 0.10).
struct BodyReader<Source: Body & ~Copyable>: ~Copyable {
    /// After how many bytes others have their turn at the files, though more are there.
    private static var turnBytesMax: Int { 1 << 20 }
    /// How long a refusal waits for more of what is on its way, in milliseconds: for each block, and in all.
    private static var graceMilliseconds: Int { 20 }
    private static var allGraceMilliseconds: Int { 200 }

    private var source: Source
    private let drainBytesMax: Int64
    /// Slows the reading; `nil` where it may be as fast as the client is.
    private var pacing: Pacing?
    /// How many bytes have been read in this turn at the files.
    private var turnBytes = 0
    /// How many bytes have been read.
    private(set) var count: Int64 = 0

    /// - Parameter drainBytesMax: how much of the body is read for nothing; a client that sends more finds its
    ///   connection closed.
    init(_ source: consuming Source, drainBytesMax: Int64) {
        self.source = source
        self.drainBytesMax = drainBytesMax
    }

    /// Has the body be read no faster than that.
    mutating func keep(to pacing: Pacing) {
        if pacing.readsInSmallSteps { source.readInSmallSteps() }
        self.pacing = pacing
    }

    /// The body, as far as it has been read.
    consuming func release() -> Source { source }

    private mutating func next(_ consume: (Span<UInt8>) -> Void = { _ in }) -> BodyProgress {
        rest()
        var blockCount = 0
        let progress = source.next { span in
            blockCount = span.count
            consume(span)
        }
        count += Int64(blockCount)
        pacing?.read(blockCount)
        turnBytes += blockCount
        guard progress == .more, (pacing?.rest ?? .zero) == .zero, turnBytes < Self.turnBytesMax else {
            turnBytes = 0
            return progress == .more ? .later : progress
        }
        return .more
    }

    private mutating func rest() {
        guard let duration = pacing?.rest, duration > .zero else { return }
        pacing?.rested(duration, source.rest(duration))
    }

    /// Reads what is there already, for nothing, before a refusal that waits for nobody: a client whose whole request is
    /// on its way sees the answer for sure.
    mutating func readWhatIsThere() {
        let end = ContinuousClock.now + .milliseconds(Self.allGraceMilliseconds)
        while count < Self.turnBytesMax, source.hasMore(withinMilliseconds: Self.graceMilliseconds), .now < end {
            switch next() {
            case .more, .later: continue
            case .last, .cutOff: return
            }
        }
    }

    /// Reads a multipart form, part by part.
    mutating func readForm(_ boundary: Boundary, _ reader: inout FormReader) -> BodyEnding {
        var parser = MultipartParser(boundary: boundary, limits: reader.exchange.formLimits)
        var failure: MultipartError?
        while true {
            let progress = next { span in
                do throws(MultipartError) { try parser.parse(span, &reader) } catch { failure = error }
            }
            if count - reader.usedCount > drainBytesMax {
                reader.bodyCutOff()
                return .malformed(.tooMuchBesides(max: drainBytesMax))
            }
            if let failure = failure ?? reader.failure {
                reader.bodyCutOff()
                return rest(after: progress) ? .malformed(failure) : .cutOff
            }
            switch progress {
            case .more: continue
            case .later: reader.bodyPauses()
            case .last:
                do throws(MultipartError) { try parser.finish() } catch {
                    reader.bodyCutOff()
                    return .malformed(error)
                }
                return .whole
            case .cutOff:
                // All that the parser wants may have come, yet the web server says that there was more.
                reader.bodyCutOff()
                return .cutOff
            }
        }
    }

    /// Reads a urlencoded form, in one piece.
    mutating func readFields(_ exchange: inout any Exchange) -> BodyEnding {
        let limits = exchange.formLimits
        let bytes: [UInt8]
        switch readWhole(bytesMax: limits.allFieldBytesMax) {
        case .bytes(let all): bytes = all
        case .tooLarge(let start):
            if FormURLEncoded.isMultipart(start) { return .malformed(.otherMedia) }
            return .malformed(.fieldsTooLarge(max: limits.allFieldBytesMax))
        case .cutOff: return .cutOff
        }
        if FormURLEncoded.isMultipart(bytes) { return .malformed(.otherMedia) }
        do throws(MultipartError) {
            for field in try FormURLEncoded.parse(bytes, limits: limits) {
                exchange.fieldEnded(FormField(name: field.name, value: field.value), raw: field.rawValue)
            }
            return .whole
        } catch {
            return .malformed(error)
        }
    }

    /// Reads a document, in one piece.
    mutating func readDocument(bytesMax: Int, _ exchange: inout any Exchange) -> BodyEnding {
        switch readWhole(bytesMax: bytesMax) {
        case .bytes(let bytes):
            exchange.documentEnded(bytes)
            return .whole
        case .tooLarge: return .tooLarge(bytesMax: bytesMax)
        case .cutOff: return .cutOff
        }
    }

    /// Reads the bytes of a file, which are the whole body.
    mutating func readFile(
        _ destination: Destination,
        _ exchange: inout any Exchange,
        into intake: Intake
    ) -> BodyEnding {
        var failure: UploadError?
        do throws(UploadError) { try intake.begin(destination) } catch {
            exchange.fileEnded(.failure(error))
            return drain() ? .whole : .cutOff
        }
        while true {
            let progress = next { span in
                do throws(UploadError) { try intake.write(span) } catch { failure = error }
            }
            if progress == .later { intake.pause() }
            if progress == .more || progress == .later, failure == nil, !intake.isSated { continue }
            let isWhole = rest(after: progress)
            do throws(UploadError) {
                if let failure { throw failure }
                exchange.fileEnded(.success(try intake.end(isCutOff: !isWhole)))
            } catch {
                exchange.fileEnded(.failure(error))
            }
            return isWhole ? .whole : .cutOff
        }
    }

    /// What reading a body in one piece came to.
    private enum Whole {
        case bytes([UInt8])
        /// More than may be, beginning with these.
        case tooLarge(start: [UInt8])
        case cutOff
    }

    private mutating func readWhole(bytesMax: Int) -> Whole {
        var body: [UInt8] = []
        while true {
            let progress = next { span in
                for index in span.indices { body.append(span[index]) }
            }
            guard body.count <= bytesMax else { return rest(after: progress) ? .tooLarge(start: body) : .cutOff }
            switch progress {
            case .more, .later: continue
            case .cutOff: return .cutOff
            case .last: return .bytes(body)
            }
        }
    }

    /// Reads to the end, for nothing; false when the body was cut off.
    mutating func drain() -> Bool {
        let end = count + drainBytesMax
        while count < end {
            switch next() {
            case .more, .later: continue
            case .last: return true
            case .cutOff: return false
            }
        }
        return true
    }

    /// Reads what follows a block; false when the body was cut off.
    private mutating func rest(after progress: BodyProgress) -> Bool {
        switch progress {
        case .more, .later: drain()
        case .last: true
        case .cutOff: false
        }
    }
}
