import Uploads

/// Slows the reading of one request, so that its client sends no faster than its mount allows.
///
/// 1. A client feels that its bytes are not read only when what lies between, some hundred KiB, is full. So it is not the
///    end of a body that waits, when the client has long sent all, but each step of it.
/// 2. A web server gives up a responder that says nothing, after 60 s or more (fastcgi_read_timeout, ProxyTimeout), and
///    one that takes nothing. So what has come is read after `quietMax` at the latest, at once and whatever the rate is;
///    it counts, and the principal's next bytes wait for it.
struct Pacing {
    /// For how long what has come may be left alone, all rests since the last byte came together.
    static let quietMax = Duration.seconds(45)
    /// Up to which rate bytes are read in small steps, in bytes a second: a large step would be a long rest.
    private static let smallStepsRateMax: Int64 = 1 << 20

    private let limits: RateLimits
    private let mount: Mount
    private var delay = Duration.zero
    /// How long the rests were since the last byte came.
    private var quiet = Duration.zero
    private var arrivedCount: Int64 = 0
    private var isOver = false

    /// `nil` on a mount without a limit.
    init?(_ limits: RateLimits, on mount: Mount) {
        guard mount.bytesPerSecond != nil else { return nil }
        self.limits = limits
        self.mount = mount
    }

    /// Whether only some KiB are to be read at a time.
    var readsInSmallSteps: Bool { (mount.bytesPerSecond ?? .max) <= Self.smallStepsRateMax }

    /// How long to rest before the next bytes are read.
    var rest: Duration { isOver ? .zero : min(delay, Self.quietMax - quiet) }

    /// Takes that bytes were read.
    mutating func read(_ count: Int) {
        delay = limits.delay(after: count, on: mount)
    }

    /// Takes how a rest ended.
    mutating func rested(_ duration: Duration, _ ending: RestEnding) {
        switch ending {
        case .early: isOver = true
        case .over(let arrivedCount):
            if arrivedCount > self.arrivedCount {
                self.arrivedCount = arrivedCount
                quiet = .zero
            } else {
                quiet += duration
            }
        }
    }
}
