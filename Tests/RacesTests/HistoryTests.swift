import Testing

@testable import Races

/// The rules by which a race is judged, without a race.
struct HistoryTests {
    private let content = Content(seed: 7)

    private func history(_ body: (inout History) -> Void) -> History {
        var history = History()
        body(&history)
        return history
    }

    @Test("bytes that were acknowledged may not be missing afterwards")
    func acknowledged() {
        let history = history {
            $0.begin(1, 1, 0..<10, at: 1)
            $0.end(1, at: 2)
        }
        #expect(!history.mayLack(at: 5, during: Period(began: 3, ended: 4)))
        #expect(history.mayLack(at: 10, during: Period(began: 3, ended: 4)))
        #expect(history.fault(ofPrefix: 10, total: 20, during: Period(began: 3, ended: 4)) == nil)
        #expect(history.fault(ofPrefix: 0, total: 20, during: Period(began: 3, ended: 4)) != nil)
        #expect(history.fault(ofPrefix: 15, total: 20, during: Period(began: 3, ended: 4)) != nil)
    }

    @Test("bytes whose answer came after the look began may be missing")
    func concurrent() {
        let history = history {
            $0.begin(1, 1, 0..<10, at: 1)
            $0.end(1, at: 4)
        }
        #expect(history.mayLack(at: 5, during: Period(began: 3, ended: 5)))
        #expect(history.mayHold(at: 5, during: Period(began: 3, ended: 5)))
    }

    @Test("a restart or a removal, even one whose answer is lost, may have taken bytes away")
    func emptied() {
        var history = history {
            $0.begin(1, 1, 0..<10, at: 1)
            $0.end(1, at: 2)
            $0.begin(2, 2, 0..<5, empties: true, at: 3)
        }
        let look = Period(began: 4, ended: 5)
        #expect(history.mayLack(at: 5, during: look))
        #expect(!history.mayLack(at: 4, during: look))
        #expect(history.mayHold(1, at: 7, during: look))
        history.end(2, at: 3)
        #expect(!history.mayHold(1, at: 7, during: look))
        #expect(!history.mayHold(at: 7, during: look))
        #expect(history.mayHold(2, at: 4, during: look))
        history.refuse(2)
        #expect(!history.mayLack(at: 5, during: look))
    }

    @Test("a file is made of one of two writers a byte, where they wrote at the same time")
    func overlapping() {
        let history = history {
            $0.begin(1, 1, 0..<100, at: 1)
            $0.begin(2, 2, 50..<100, at: 2)
            $0.end(1, at: 3)
            $0.end(2, at: 4)
        }
        let mixed = content.bytes(1, 0..<70) + content.bytes(2, 70..<100)
        #expect(history.fault(of: mixed, content: content, sealedAfter: 5) == nil)
        let foreign = content.bytes(1, 0..<70) + content.bytes(3, 70..<100)
        #expect(history.fault(of: foreign, content: content, sealedAfter: 5) != nil)
    }

    @Test("bytes that acknowledged ones replaced are wrong, unless the file got its name before")
    func replaced() {
        let history = history {
            $0.begin(1, 1, 0..<100, at: 1)
            $0.end(1, at: 2)
            $0.begin(2, 2, 0..<100, at: 3)
            $0.end(2, at: 4)
        }
        let first = content.bytes(1, 0..<100)
        #expect(history.fault(of: first, content: content, sealedAfter: 0) == nil)
        #expect(
            history.fault(of: first, content: content, sealedAfter: 5)?.contains("version 1, which was undone") == true
        )
    }

    @Test("bytes that were refused are wrong, and so are those from before a restart")
    func refused() {
        var history = history {
            $0.begin(1, 1, 0..<100, at: 1)
            $0.end(1, at: 2)
            $0.begin(2, 2, 50..<100, at: 3)
        }
        let bytes = content.bytes(1, 0..<50) + content.bytes(2, 50..<100)
        #expect(history.fault(of: bytes, content: content, sealedAfter: 5) == nil)
        history.refuse(2)
        #expect(
            history.fault(of: bytes, content: content, sealedAfter: 5)?.contains("version 2, which was refused") == true
        )
        history.begin(3, 3, 0..<50, empties: true, at: 6)
        history.end(3, at: 7)
        history.begin(4, 4, 60..<100, at: 8)
        history.end(4, at: 9)
        let torn = content.bytes(3, 0..<50) + content.bytes(1, 50..<60) + content.bytes(4, 60..<100)
        #expect(history.fault(of: torn, content: content, sealedAfter: 10)?.contains("version 1") == true)
    }

    @Test("a version must be there when nothing else can have taken its place")
    func must() {
        var history = history {
            $0.begin(1, 1, 3..<4, at: 1)
            $0.end(1, at: 2)
        }
        let look = Period(began: 5, ended: 6)
        #expect(history.mustHold(1, at: 3, during: look))
        history.begin(2, 2, 3..<4, at: 3)
        #expect(!history.mustHold(1, at: 3, during: look))
        history.end(2, at: 4)
        #expect(history.mustHold(2, at: 3, during: look))
        #expect(!history.mayHold(1, at: 3, during: look))
    }
}
