import Testing
import Threading

struct LockedTests {
    @Test("threads that meet at a lock take turns")
    func turns() async {
        let sum = Locked(0)
        await withTaskGroup { group in
            for _ in 0..<4 {
                group.addTask {
                    for _ in 0..<20_000 { sum.withLock { $0 += 1 } }
                }
            }
        }
        #expect(sum.withLock { $0 } == 80_000)
    }
}
