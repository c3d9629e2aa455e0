import Testing

@testable import Doctor

@Suite struct NginxConfigurationTests {
    private let dump = """
        nginx: the configuration file /etc/nginx/nginx.conf syntax is ok
        # configuration file /etc/nginx/nginx.conf:
        # a comment; with { braces
        http {
            client_max_body_size 5m;
            include conf.d/*.conf; include "fermata/up.conf";
            server {
                fastcgi_param A "outer; {value}";
                location / { return 200 '${scheme} \\' ok'; }
                location = /x {
                    include fermata/params.conf;
                    location ~ ^/y { fastcgi_param B 2; client_max_body_size 0; }
                }
            }
        }
        # configuration file /etc/nginx/conf.d/one.conf:
        server { location /one { } }
        # configuration file /etc/nginx/conf.d/deep/two.conf:
        server { location /two { } }
        # configuration file /etc/nginx/fermata/up.conf:
        upstream u { server unix:/a weight=2; server 127.0.0.1:9; }
        # configuration file /etc/nginx/fermata/params.conf:
        fastcgi_param C 3;

        """

    @Test("includes, quotes, nesting and inheritance are as nginx has them")
    func reads() throws {
        let configuration = NginxConfiguration(dump: dump)
        let locations = configuration.locations
        #expect(locations.map(\.title) == ["/one", "/", "= /x", "~ ^/y"])
        #expect(locations[1].fastcgiParameters == ["A": "outer; {value}"])
        #expect(locations[2].fastcgiParameters == ["C": "3"])
        #expect(locations[3].fastcgiParameters == ["B": "2"])
        #expect(locations[2].arguments(of: "client_max_body_size") == ["5m"])
        #expect(locations[3].arguments(of: "client_max_body_size") == ["0"])
        #expect(locations[1].arguments(of: "return") == ["200", "${scheme} ' ok"])
        #expect(configuration.servers(ofUpstream: "u") == ["unix:/a", "127.0.0.1:9"])
        #expect(configuration.servers(ofUpstream: "v") == nil)
    }

    @Test("what is no configuration has no locations, and one that includes itself ends")
    func odd() {
        for text in ["", "{}{}{", "}}}}", "# configuration file /x:\na { b", "# configuration file /x:\n\"open"] {
            #expect(NginxConfiguration(dump: text).locations.isEmpty)
        }
        let circle = "# configuration file /etc/nginx/a.conf:\nlocation /a { } include a.conf;"
        #expect(!NginxConfiguration(dump: circle).locations.isEmpty)
    }
}
