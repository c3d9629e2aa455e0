import Uploads

extension Setting {
    static let resume = Setting(
        "FERMATA_RESUME",
        \.allowsResume,
        .flag,
        "whether clients may resume; `off` tells them to upload plainly"
    )
}
