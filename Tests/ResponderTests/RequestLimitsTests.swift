import Testing
import Uploads

@testable import Responder

@Suite struct RequestLimitsTests {
    @Test("each principal has requests of its own, also where names differ in their bytes alone")
    func principals() {
        let limits = RequestLimits()
        let mount = { (principal: String) in
            var mount = Mount(name: "m", principal: principal, root: "/r")
            mount.principalLimits.requestsMax = 1
            return mount
        }
        #expect(limits.enter(mount("\u{E9}")))
        #expect(!limits.enter(mount("\u{E9}")))
        #expect(limits.enter(mount("e\u{301}")))
        limits.leave(mount("e\u{301}"))
        #expect(!limits.enter(mount("\u{E9}")), "the request of another has ended")
        limits.leave(mount("\u{E9}"))
        #expect(limits.enter(mount("\u{E9}")))
    }
}
