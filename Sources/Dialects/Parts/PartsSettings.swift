import Uploads

extension Setting {
    static let requireMD5 = Setting("FERMATA_REQUIRE_MD5", \.requiresDigest, .flag, "whether each part needs an MD5")

    static let requireOrder = Setting(
        "FERMATA_REQUIRE_ORDER",
        \.requiresOrder,
        .flag,
        "whether the list of parts must ascend"
    )

    static let wrapLists = Setting(
        "FERMATA_WRAP_LISTS",
        \.wrapsLists,
        .flag,
        "whether lists are members of an object"
    )
}
