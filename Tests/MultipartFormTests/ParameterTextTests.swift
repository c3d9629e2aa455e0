import MultipartForm
import Testing

@Suite struct ParameterTextTests {
    private func fileName(_ parameters: String) throws -> String? {
        try header("Content-Disposition: form-data; name=f; " + parameters).fileName
    }

    @Test(
        "extended names are read in the character sets that clients use",
        arguments: [
            ("filename*=UTF-8''na%C3%AFve.txt", "naïve.txt"), ("filename*=utf8''na%C3%AFve.txt", "naïve.txt"),
            (#"filename*="utf-8''na%C3%AFve.txt""#, "naïve.txt"), ("filename*=''na%C3%AFve.txt", "naïve.txt"),
            ("filename*=ISO-8859-1'en'na%EFve.txt", "naïve.txt"), ("filename*=latin1''na%EFve.txt", "naïve.txt"),
            ("filename*=windows-1252''%80.txt", "€.txt"), ("filename*=cp1252''%80.txt", "€.txt"),
            ("filename*=windows-1251''%CF%F0.txt", "Пр.txt"), ("filename*=KOI8-R''%F0%D2.txt", "Пр.txt"),
            ("filename*=GBK''%D6%D0.txt", "中.txt"), ("filename*=gb2312''%D6%D0.txt", "中.txt"),
            ("filename*=GB18030''%D6%D0.txt", "中.txt"), ("filename*=Big5''%A4%A4.txt", "中.txt"),
            ("filename*=Shift_JIS''%92%86.txt", "中.txt"), ("filename*=EUC-KR''%C7%D1.txt", "한.txt"),
            ("filename*=iso-8859-15''%A4.txt", "€.txt"), ("filename*=us-ascii'en-us'a%20b.txt", "a b.txt"),
            ("filename*=plain.txt", "plain.txt"), ("filename*=it's.txt", "it's.txt"),
        ]
    )
    func charsets(parameter: String, expected: String) throws {
        #expect(try fileName(parameter) == expected)
    }

    @Test(
        "a name in sections is joined",
        arguments: [
            (#"filename*0="a"; filename*1="b.txt""#, "ab.txt"), (#"filename*1="b.txt"; filename*0="a""#, "ab.txt"),
            ("filename*0*=utf-8''na%C3; filename*1*=%AFve; filename*2=\".txt\"", "naïve.txt"),
            ("filename*0*=utf-8'en'it%27s; filename*1*='%20'x; filename*2=%41", "it's' 'x%41"),
            ("filename*0*=iso-8859-1''%EF", "ï"), ("FILENAME*0=a", "a"), ("filename*0=na\u{EF}ve", "naïve"),
            ((0..<12).map { "filename*\($0)=\($0)" }.joined(separator: ";"), "01234567891011"),
        ]
    )
    func sections(parameters: String, expected: String) throws {
        #expect(try fileName(parameters) == expected)
    }

    @Test(
        "a name that cannot be decoded makes a file without a usable name, whose extension is still told",
        arguments: [
            "filename*=x-unknown''%D6%D0.txt", "filename*=x-unknown''a.txt", "filename*=utf-8''%FF.txt",
            "filename*=us-ascii''%FF.txt", "filename*=gb18030''%FF.txt", "filename*1=b.txt",
            "filename*x=a; filename*0=.txt",
            "filename*0=a; filename*2=b.txt", "filename*0=a; filename*0=b.txt",
            "filename*0*=x-unknown''a; filename*1=.txt",
            "filename==?x-unknown?q?a?=.txt", "filename==?utf-8?q?=FF.txt?=",
        ]
    )
    func undecodable(parameters: String) throws {
        let name = try #require(try fileName(parameters))
        #expect(name.hasSuffix(".txt"))
        #expect(FileName.sanitized(name) == nil)
    }

    @Test(
        "the name of a field is read in every spelling, too",
        arguments: [
            "name*=utf-8''%C3%A4", "name*=iso-8859-1''%E4", "name*0*=utf-8''%C3; name*1*=%A4", "name=\"\u{E4}\"",
            #"name="=?utf-8?B?w6Q=?=""#, #"name="=?utf-8?B?w6Q=?="; name*=utf-8''%C3%A4"#,
            "name=\u{E4}; name*=utf-8''other",
        ]
    )
    func names(parameters: String) throws {
        #expect(try header("Content-Disposition: form-data; " + parameters).name == "ä")
        #expect(try header("Content-Disposition: \(parameters); filename=x").name == "ä")
    }

    @Test(
        "encoded words are decoded, unless an extended name says it better",
        arguments: [
            (#"filename="=?utf-8?B?bmHDr3ZlLnR4dA==?=""#, "naïve.txt"),
            (#"filename="=?UTF-8?b?bmHDr3ZlLnR4dA?=""#, "naïve.txt"),
            (#"filename="=?utf-8?Q?na=C3=AFve_x.txt?=""#, "naïve x.txt"), ("filename==?utf-8?q?na=c3=afve?=", "naïve"),
            (#"filename="=?iso-8859-1*en?Q?na=EFve.txt?=""#, "naïve.txt"),
            (#"filename="=?gb2312?B?1tA=?=.txt""#, "中.txt"), (#"filename="x =?utf-8?Q?y?= z""#, "x y z"),
            (#"filename="=?utf-8?Q?na=C3?= =?utf-8?Q?=AFve.txt?=""#, "naïve.txt"),
            (#"filename="=?utf-8?Q?a?= =?iso-8859-1?Q?=EF?=""#, "aï"),
            (#"filename="=?utf-8?B?b2xk?="; filename*=utf-8''new.txt"#, "new.txt"),
            (#"filename="=?utf-8?B?b2xk?="; filename*=x-unknown''new.txt"#, "old"),
            (#"filename="old"; filename*=utf-8''new"#, "old"), (#"filename="=?utf-8?B?!?=""#, "=?utf-8?B?!?="),
            (#"filename="=?utf-8?X?a?=""#, "=?utf-8?X?a?="), (#"filename="a=?b?.txt""#, "a=?b?.txt"),
        ]
    )
    func encodedWords(parameters: String, expected: String) throws {
        #expect(try fileName(parameters) == expected)
    }

    @Test("slashes are looked for after a name is decoded")
    func slashes() throws {
        for parameter in [
            #"filename="=?utf-8?B?Li4vLi4vYQ==?=""#, "filename*=utf-8''..%2F..%2Fa", "filename*0=../..; filename*1=/a",
        ] {
            let name = try #require(try fileName(parameter))
            #expect(name == "../../a")
            #expect(FileName.sanitized(name) == "a")
        }
    }
}
