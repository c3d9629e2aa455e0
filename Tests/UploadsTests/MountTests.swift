import Testing
import Uploads

struct MountTests {
    @Test(
        "a session expires no earlier than said, at most a 60th of that or a minute later, and the same for a while",
        arguments: [1, 59, 60, 119, 120, 3599, 86_400, 604_800] as [Int64]
    )
    func expiry(idleSeconds: Int64) {
        var mount = Mount(name: "m", principal: "", root: "/r")
        mount.idleSeconds = idleSeconds
        var expiries: Set<Int64> = []
        for now in 1_000_000..<1_000_120 as Range<Int64> {
            let expiry = mount.expiry(at: now)
            expiries.insert(expiry)
            #expect((0...min(60, idleSeconds / 60)).contains(expiry - now - idleSeconds))
        }
        #expect(expiries.count <= max(3, 1 + 120 / max(1, Int(idleSeconds) / 60)))
    }
}
