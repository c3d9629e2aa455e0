/// A generator whose numbers follow from its seed (SplitMix64).
struct Chance: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return Self.mixed(state)
    }

    mutating func isOne(in count: Int) -> Bool { number(0..<count) == 0 }

    mutating func number(_ range: Range<Int>) -> Int { Int.random(in: range, using: &self) }

    /// One of some values, each as often as its weight says against those of the others.
    mutating func pick<Value>(_ weighted: [(weight: Int, value: Value)]) -> Value {
        var rest = number(0..<weighted.map(\.weight).reduce(0, +))
        for entry in weighted {
            if rest < entry.weight { return entry.value }
            rest -= entry.weight
        }
        return weighted[weighted.count - 1].value
    }

    static func mixed(_ value: UInt64) -> UInt64 {
        var mixed = value
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
