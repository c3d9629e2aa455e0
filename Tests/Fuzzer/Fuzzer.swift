import CLibFuzzer
import Foundation
import Fuzzing

/// Runs libFuzzer on the target that the environment variable `FUZZ_TARGET` names; arguments are libFuzzer's own.
@main
struct Fuzzer {
    static func main() {
        var count = CommandLine.argc
        var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
        exit(
            LLVMFuzzerRunDriver(&count, &arguments) { bytes, count in
                do { try Fuzzer.run(Array(UnsafeBufferPointer(start: bytes, count: count))) } catch {
                    fatalError("\(error)")
                }
                return 0
            }
        )
    }

    private static let run: FuzzTarget.Run = {
        let name = ProcessInfo.processInfo.environment["FUZZ_TARGET"] ?? ""
        guard let target = FuzzTarget(rawValue: name) else {
            let names = FuzzTarget.allCases.map(\.rawValue).joined(separator: ", ")
            fatalError("FUZZ_TARGET '\(name)' is unknown: use one of \(names)")
        }
        do { return try target.prepare() } catch { fatalError("\(error)") }
    }()
}
