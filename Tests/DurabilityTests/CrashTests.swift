import Testing

@Suite("Crashes")
struct CrashTests {
    @Test(
        "every acknowledged write, every change and every view survives kill -9 under 32 writers",
        .timeLimit(.minutes(60)))
    func killedServer() async throws { try await CrashRun.chosen().run() }
}
