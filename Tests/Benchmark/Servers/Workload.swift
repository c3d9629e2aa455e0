/// What is uploaded.
struct Workload: Sendable {
    let files: Int
    /// The size of each file in bytes.
    let fileBytes: Int
    /// The size of each part in bytes; the last of a file is what is left.
    let partBytes: Int
    /// How many connections are used at the same time; each has files of its own.
    let connections: Int

    static let all: [String: Workload] = [
        "one": Workload(files: 1, fileBytes: 1 << 30, partBytes: 1 << 30, connections: 1),
        "seq": Workload(files: 1, fileBytes: 1 << 30, partBytes: 16 << 20, connections: 1),
        "par8": Workload(files: 8, fileBytes: 128 << 20, partBytes: 16 << 20, connections: 8),
        "small": Workload(files: 1, fileBytes: 204_800_000, partBytes: 102_400, connections: 1),
        "small8": Workload(files: 8, fileBytes: 25_600_000, partBytes: 102_400, connections: 8),
    ]

    /// A part of a file.
    struct Part: Sendable {
        let file: Int
        /// 0 for the first.
        let index: Int
        let start: Int
        let count: Int

        var end: Int { start + count }
    }

    func parts(of file: Int) -> [Part] {
        (0..<(fileBytes + partBytes - 1) / partBytes).map { index in
            let start = index * partBytes
            return Part(file: file, index: index, start: start, count: min(partBytes, fileBytes - start))
        }
    }

    var totalBytes: Int { files * fileBytes }
}
