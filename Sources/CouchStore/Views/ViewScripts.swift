/// Where the JavaScript of an index runs, for the code that brings it up to date.
enum ViewScripts {
    /// On the caller's own thread, which is the engine's.
    case here(ViewEngine)
    /// On the engine's thread, beside the caller's.
    case beside(JavaScriptThread<ViewEngine>)

    /// Has a job done; waiting for its result blocks.
    func begin<Result: Sendable>(_ job: @escaping @Sendable (ViewEngine) throws -> Result) -> Delivery<Result> {
        switch self {
        case .here(let engine): Delivery(Swift.Result { try job(engine) })
        case .beside(let thread): thread.begin(job)
        }
    }
}
