import HTTPTypes
import Testing
import Uploads

@testable import Responder

@Suite struct SameSiteTests {
    private func refuses(
        _ origin: String?,
        _ site: String? = nil,
        host: String? = "up.example",
        origins: Set<String> = [],
        isOn: Bool = true
    ) throws -> Bool {
        var request = HTTPRequest(method: .post, scheme: "https", authority: host, path: "/up")
        request.headerFields[.origin] = origin
        request.headerFields[try #require(HTTPField.Name("Sec-Fetch-Site"))] = site
        var mount = Mount(name: "m", root: "/r")
        mount.requiresSameSite = isOn
        mount.origins = origins
        return SameSite.refuses(request, on: mount)
    }

    @Test("pages of other sites are refused, by what the browser says or else by their origin")
    func others() throws {
        #expect(try refuses("https://evil.example"))
        #expect(try refuses("https://evil.example", "cross-site"))
        #expect(try refuses(nil, "cross-site"), "a form that is sent by GET names no origin")
        #expect(try refuses("null"))
        #expect(try refuses("https://neighbour.example", "same-site"))
        #expect(try refuses("https://up.example.evil.example"))
        #expect(try refuses("https://up.example:8443", host: "up.example:443"))
        #expect(try refuses("https://up.example", host: nil))
    }

    @Test("the site's own pages, programs, and pages of listed origins are not refused")
    func own() throws {
        #expect(try !refuses(nil))
        #expect(try !refuses("https://up.example"))
        #expect(try !refuses("HTTPS://UP.example", host: "Up.Example"))
        #expect(try !refuses("http://up.example:8080", host: "up.example:8080"))
        #expect(try !refuses("https://up.example", host: "up.example:443"))
        #expect(try !refuses("http://[::1]:8080", host: "[::1]:8080"))
        #expect(try !refuses("https://up.example", "same-origin", host: "inside"), "a proxy may have put in a host")
        #expect(try !refuses(nil, "none"), "somebody has typed the address")
        #expect(try !refuses("https://a.example", "cross-site", origins: ["https://a.example"]))
        #expect(try !refuses("https://a.example", "cross-site", origins: ["*"]))
        #expect(try !refuses("https://evil.example", "cross-site", isOn: false), "it is off unless it is set")
    }
}
