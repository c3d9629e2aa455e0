import ArgumentParser
import Dialects
import Digests
import Engine
import FastCGI
import Foundation
import Ledger
import Logging
import Metrics
import Mounts
import Responder
import Uploads

/// `fermata serve`: listens, answers, sweeps, and stops in an orderly way.
struct Serve: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Answer the requests of a web server.",
        discussion: """
            SIGTERM, SIGINT or SIGHUP stops accepting, finishes what runs and exits 0; a second one exits at once.
            Several processes may serve one state directory.
            """
    )

    @Option(
        help: ArgumentHelp(
            "Where to listen: unix:/PATH, 127.0.0.1:PORT, [::1]:PORT, or fd:0 for a socket inherited from a web server.",
            valueName: "address"
        ),
        transform: ListenAddress.init(parsing:)
    )
    var listen = ListenAddress.descriptor(0)

    @Option(help: ArgumentHelp("Permissions of a unix socket, octal.", valueName: "mode"), transform: octalMode)
    var socketMode: mode_t = 0o660

    @Option(
        help: ArgumentHelp("Owner of a unix socket.", valueName: "user[:group]"),
        transform: SocketOwner.init(parsing:)
    )
    var socketOwner: SocketOwner?

    @OptionGroup var stateDirectory: StateDirectory

    @Option(help: "How many requests can be received at the same time, 1-\(WorkerPool.workersMax).")
    var workers = 1024

    @Option(help: ArgumentHelp("What the paths of published files are prefixed with in answers.", valueName: "url"))
    var publicURL = ""

    @Option(
        help: ArgumentHelp(
            "Directory below which FERMATA_ROOT may lie; repeatable. STATE/files is always allowed.",
            valueName: "dir"
        )
    )
    var allowRoot: [String] = []

    @Option(
        help: ArgumentHelp(
            "Program that FERMATA_HOOK and FERMATA_VETO may name, an absolute path; repeatable, none by default.",
            valueName: "path"
        )
    )
    var allowProgram: [String] = []

    @Option(
        help: ArgumentHelp("trace, debug, info, notice, warning, error or critical.", valueName: "level"),
        transform: level
    )
    var logLevel = Logger.Level.info

    @Option(help: ArgumentHelp("How long requests may go on after SIGTERM.", valueName: "seconds"))
    var drainSeconds = 30

    private var dialects: DialectRegistry { .shipped }
    /// How often expired sessions are swept, in milliseconds.
    private static let sweepMilliseconds = 60_000
    /// How many uploads are swept at once. When more expire together, it may be the clock that is wrong.
    private static let expiredMax = 100

    /// Refuses a number of workers that `serve` cannot have.
    static func requireWorkers(_ workers: Int) throws {
        guard (1...WorkerPool.workersMax).contains(workers) else {
            throw ValidationError("--workers must be between 1 and \(WorkerPool.workersMax)")
        }
    }

    func validate() throws {
        try Self.requireWorkers(workers)
        guard (0...3600).contains(drainSeconds) else {
            throw ValidationError("--drain-seconds must be between 0 and 3600")
        }
        for program in allowProgram where !program.hasPrefix("/") {
            throw ValidationError("--allow-program \(program): give an absolute path")
        }
    }

    func run() throws {
        ThreadCaches.limit()
        Signals.blockTermination()
        let logger = Logger(label: "fermata") { _ in LogfmtHandler(level: logLevel) }
        let state = stateDirectory.state
        let files = state + "/files"
        do {
            try FileManager.default.createDirectory(atPath: files, withIntermediateDirectories: true)
        } catch {
            throw ValidationError("--state \(state): the directory can not be made: \(error.localizedDescription)")
        }
        let meters = openMeters(logger)
        let engine = try stateDirectory.openEngine(meters: meters, programs: Set(allowProgram)) { Self.log($0, logger) }
        let report = try engine.recover(
            boot: try Self.bootIdentifier(),
            tombstoneSeconds: StateDirectory.tombstoneSeconds
        )
        logger.info(
            "recovered",
            metadata: [
                "published": "\(report.published)", "segments_lost": "\(report.segmentsLost)",
                "files_lost": "\(report.filesLost)",
            ]
        )
        warn(of: report.unavailable, logger)
        for error in report.unpublishable {
            logger.error("a whole file can not be published", metadata: ["reason": "\(error)"])
        }
        let uptime = ContinuousClock.now
        var clock = ClockWatch(now: engine.now(), uptime: 0)
        sweep(engine, logger, expiredMax: Self.expiredMax)
        let policy = MountPolicy(
            dialects: dialects,
            allowedRoots: allowRoot,
            defaultRoot: files,
            publicURL: publicURL,
            stateDirectory: state,
            allowedPrograms: allowProgram
        )
        let signingKey = try signingKey()
        let requestsMax = OpenFiles.raiseLimit()
        if requestsMax < workers {
            logger.warning(
                "too few open files allowed for so many workers: raise ulimit -n, or LimitNOFILE of the service",
                metadata: ["workers": "\(workers)", "enough_for": "\(requestsMax)"]
            )
        }
        let responder = Responder(
            engine,
            policy: policy,
            signingKey: signingKey,
            meters: meters,
            logger: logger,
            accessLog: AccessLog(level: logLevel)
        )
        let access = Listener.Access(mode: socketMode, owner: socketOwner)
        let listener = try Listener.open(listen, access: access)
        let handlers = WorkerPool.Handlers(
            answer: { responder.respond(to: $0) },
            refuse: { responder.refuse($0) },
            urgentParameter: Responder.urgentParameter
        )
        let pool = try WorkerPool(on: listener, workers: workers, handlers)
        Deliverer(engine) { Self.log($0, logger) }.start()
        logger.info("serving", metadata: ["listen": "\(listen)", "workers": "\(workers)"])
        while Signals.wait(milliseconds: Self.sweepMilliseconds) == nil {
            let jump = clock.jump(now: engine.now(), uptime: (ContinuousClock.now - uptime).components.seconds)
            if jump != 0 {
                logger.warning(
                    "the clock has been set; no upload expires until it has gone on evenly for an hour",
                    metadata: ["seconds": "\(jump)"]
                )
            }
            sweep(engine, logger, expiredMax: jump == 0 ? Self.expiredMax : 0)
        }
        logger.info("stopping")
        let isDrained = pool.stop(withinSeconds: drainSeconds) { Signals.wait(milliseconds: 0) != nil }
        logger.info("stopped", metadata: ["drained": "\(isDrained)"])
        // Threads that wait for a connection hold nothing; the end of the process is the end of them.
        _ = consume listener
        Foundation.exit(isDrained ? 0 : 1)
    }

    /// The counters of the service.
    private func openMeters(_ logger: Logger) -> Meters {
        let meters = Meters.shared(
            protocols: dialects.names,
            stateDirectory: stateDirectory.state
        )
        if let failure = meters.sharingFailure {
            logger.warning(
                "counters are of this process alone: see that the state directory can be written and has space",
                metadata: ["reason": "\(failure)"]
            )
        }
        return meters
    }

    /// The key that signs URLs.
    private func signingKey() throws -> SigningKey {
        do { return try KeyFile.open(in: stateDirectory.state) } catch {
            throw ValidationError("--state \(stateDirectory.state): the signing key can not be read or made: \(error)")
        }
    }

    /// Says which roots are not used, and what to do.
    private func warn(of roots: [String: RootProblem], _ logger: Logger) {
        for (root, problem) in roots.sorted(by: { $0.key < $1.key }) {
            logger.error(
                "root is not available: its uploads wait",
                metadata: ["root": "\(root)", "reason": "\(problem.problem)", "remedy": "\(problem.remedy)"]
            )
        }
    }

    private func sweep(_ engine: Engine, _ logger: Logger, expiredMax: Int) {
        do {
            let report = try engine.sweep(expiredMax: expiredMax)
            warn(of: report.unavailable, logger)
            if report.waiting > 0 {
                logger.notice("more uploads have expired; they stay for now", metadata: ["count": "\(report.waiting)"])
            }
            for file in report.expired {
                logger.info("swept expired upload", metadata: ["root": "\(file.root)", "staging": "\(file.staging)"])
            }
            for orphan in report.orphans {
                logger.info("swept orphan", metadata: ["root": "\(orphan.root)", "staging": "\(orphan.staging)"])
            }
        } catch {
            logger.error("sweep failed", metadata: ["reason": "\(error)"])
        }
    }

    /// Logs an attempt to deliver an event.
    private static func log(_ result: Result<Engine.Delivery, UploadError>, _ logger: Logger) {
        switch result {
        case .success(let delivery):
            var metadata: Logger.Metadata = [
                "event": "\(delivery.event.id)", "program": "\(delivery.event.program)",
                "attempt": "\(delivery.event.attempts)",
            ]
            if !delivery.output.isEmpty { metadata["output"] = "\(delivery.output)" }
            guard let failure = delivery.failure else { return logger.info("event delivered", metadata: metadata) }
            metadata["reason"] = "\(failure)"
            logger.warning("event not delivered", metadata: metadata)
        case .failure(let error): logger.error("events cannot be delivered", metadata: ["reason": "\(error)"])
        }
    }

    /// Logs what failed after a file had got its name: its client has heard of a success.
    private static func log(_ postponement: Postponement, _ logger: Logger) {
        logger.error(
            "the file is stored, but not all that follows could be done",
            metadata: [
                "file": "\(postponement.path)", "operation": "\(postponement.operation)",
                "reason": "\(postponement.reason)",
                "then": postponement.fate == .later ? "it is tried again" : "given up",
            ]
        )
    }

    /// What Linux calls this run of the machine (random(4)).
    private static func bootIdentifier() throws -> String {
        try String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }
}

/// Reads permission bits such as `660`.
private func octalMode(_ text: String) throws -> mode_t {
    guard let mode = mode_t(text, radix: 8), mode <= 0o777 else {
        throw ValidationError("'\(text)' is not an octal mode such as 660")
    }
    return mode
}

/// The level of a log, as `--log-level` takes it.
private func level(_ text: String) throws -> Logger.Level {
    guard let level = Logger.Level(rawValue: text) else {
        throw ValidationError("'\(text)' is not trace, debug, info, notice, warning, error or critical")
    }
    return level
}
