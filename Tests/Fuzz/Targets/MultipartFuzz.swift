#if DEBUG
    import Dispatch
    import HTTPTypes
    import Hummingbird
    import NIOCore
    @testable import CouchServer

    /// Runs to the end what is asynchronous, for a caller that is not.
    func finish(_ work: @escaping @Sendable () async -> Void) {
        let done = DispatchSemaphore(value: 0)
        Task {
            await work()
            done.signal()
        }
        done.wait()
    }

    enum MultipartFuzz {
        /// The first byte says how large the pieces are, the rest of the first line is the Content-Type.
        static func run(_ bytes: [UInt8]) {
            let (head, body) = halves(bytes)
            let size = Int(head.first ?? 0) % 64 + 1
            let type = String(decoding: head.dropFirst(), as: UTF8.self)
            guard let boundary = MultipartBoundary.of(type) else { return }
            finish {
                _ = try? await parts(Array(body), boundary: boundary, size: size, depth: 0)
                await roundTrip(Array(body), size: size)
            }
        }

        private struct Pieces: AsyncIteratorProtocol {
            var rest: ArraySlice<UInt8>
            let size: Int

            mutating func next() async -> ByteBuffer? {
                if rest.isEmpty { return nil }
                defer { rest = rest.dropFirst(size) }
                return ByteBuffer(bytes: rest.prefix(size))
            }
        }

        private static func parts(_ body: [UInt8], boundary: String, size: Int, depth: Int) async throws -> [[UInt8]] {
            var reader = MultipartReader(Pieces(rest: body[...], size: size), boundary: boundary)
            var contents: [[UInt8]] = []
            while let headers = try await reader.nextPart() {
                var content: [UInt8] = []
                while let piece = try await reader.nextPiece() { content += piece }
                precondition(content.count <= body.count)
                contents.append(content)
                if depth < 3, let inner = headers["content-type"].flatMap(MultipartBoundary.of) {
                    _ = try? await parts(content, boundary: inner, size: size, depth: depth + 1)
                }
            }
            return contents
        }

        private actor Collector {
            var bytes: [UInt8] = []
            func add(_ more: [UInt8]) { bytes += more }
        }
        private struct Writer: ResponseBodyWriter {
            let collector: Collector
            mutating func write(_ buffer: ByteBuffer) async throws {
                await collector.add(Array(buffer.readableBytesView))
            }
            consuming func finish(_ trailers: HTTPFields?) async throws {}
        }

        /// What is written is read as it was, whatever is in it: the boundary is random.
        private static func roundTrip(_ body: [UInt8], size: Int) async {
            let collector = Collector()
            var writer: any ResponseBodyWriter = Writer(collector: collector)
            var parts = MultipartWriter(boundary: MultipartWriter.newBoundary())
            let split = body.count / 2
            let contents = [Array(body[..<split]), [], Array(body[split...])]
            for content in contents {
                parts.part([("Content-Type", String(decoding: content.prefix(64), as: UTF8.self))], content)
            }
            parts.end()
            try? await parts.flush(to: &writer)
            let read = try? await Self.parts(
                await collector.bytes, boundary: parts.boundary, size: size, depth: 3)
            precondition(read == contents, "written and read are other parts")
        }
    }
#endif
