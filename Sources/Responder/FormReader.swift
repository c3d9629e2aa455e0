import Dialects
import Engine
import MultipartForm
import Uploads

/// Carries the parts of a form from the parser to the dialect, and their bytes to the engine.
struct FormReader: PartConsumer, ~Copyable {
    var exchange: any Exchange
    let intake: Intake
    private(set) var failure: MultipartError?
    /// How many bytes of the body were of use to a file, at most.
    private(set) var usedCount: Int64 = 0
    /// How many bytes of the body a byte of the part may have taken.
    private var encodedBytesMax: Int64 = 1
    private var part = Part.none
    private var collector: FieldCollector

    /// What is being done with the part that has begun.
    private enum Part {
        case none
        case file
        case field(name: String)
        case drained
    }

    /// Where the last part of the form ends, if the length of the body is known.
    private let lastPartEnd: Int64?

    init(_ exchange: any Exchange, into intake: Intake, lastPartEnd: Int64?) {
        self.exchange = exchange
        collector = FieldCollector(limits: exchange.formLimits)
        self.intake = intake
        self.lastPartEnd = lastPartEnd
    }

    mutating func partBegins(_ header: PartHeader, at offset: Int64?) {
        encodedBytesMax = header.transferEncoding.bytesPerByteMax
        var sizeHint: Int64?
        if let lastPartEnd, let offset { sizeHint = lastPartEnd - offset }
        switch exchange.partBegins(header, sizeHint: sizeHint) {
        case .file(let destination):
            do throws(UploadError) {
                try intake.begin(destination)
                part = .file
            } catch {
                refuse(error)
            }
        case .field:
            let name = header.name ?? ""
            collector.begin(name)
            part = .field(name: name)
        case .drain:
            part = .drained
        }
    }

    mutating func partBytes(_ bytes: Span<UInt8>) {
        switch part {
        case .file:
            do throws(UploadError) {
                try intake.write(bytes)
                if !intake.isSated { usedCount += Int64(bytes.count) * encodedBytesMax }
            } catch {
                refuse(error)
            }
        case .field:
            do throws(MultipartError) { try collector.append(bytes) } catch {
                failure = failure ?? error
                part = .drained
            }
        case .drained: break
        case .none: preconditionFailure("bytes outside of a part")
        }
    }

    mutating func partEnds() {
        switch part {
        case .file:
            end(isCutOff: false)
        case .field(let name):
            let value = collector.value
            exchange.fieldEnded(FormField(name: name, value: value.text), raw: value.raw)
        case .drained: break
        case .none: preconditionFailure("the end of a part that did not begin")
        }
        part = .none
    }

    /// Lets other requests at the file that the part goes to.
    mutating func bodyPauses() {
        if case .file = part { intake.pause() }
    }

    /// Ends the part that the end of the body has cut off.
    mutating func bodyCutOff() {
        if case .file = part { end(isCutOff: true) }
        part = .none
    }

    private mutating func end(isCutOff: Bool) {
        do throws(UploadError) {
            let receipt = try intake.end(isCutOff: isCutOff)
            exchange.fileEnded(.success(receipt))
        } catch {
            exchange.fileEnded(.failure(error))
        }
    }

    private mutating func refuse(_ error: UploadError) {
        exchange.fileEnded(.failure(error))
        part = .drained
    }
}
