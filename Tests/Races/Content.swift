/// The bytes of one upload: each version has its own at each offset, so that a byte on disk tells who wrote it.
struct Content {
    /// Differs between uploads.
    let seed: UInt64

    func bytes(_ version: Int, _ range: Range<Int>) -> [UInt8] {
        let key = Chance.mixed(seed &+ UInt64(version) &* 0x2545_F491_4F6C_DD1D)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(range.count)
        var offset = range.lowerBound
        while offset < range.upperBound {
            var word = Chance.mixed(key &+ UInt64(offset / 8) &* 0x9E37_79B9_7F4A_7C15) >> UInt64(8 * (offset % 8))
            let end = min(range.upperBound, (offset / 8 + 1) * 8)
            while offset < end {
                bytes.append(UInt8(truncatingIfNeeded: word))
                word >>= 8
                offset += 1
            }
        }
        return bytes
    }
}
