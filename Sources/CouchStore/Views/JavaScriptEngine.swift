import CJavaScriptCore
import CouchDocument

/// Why a call into JavaScript gave no answer.
enum JavaScriptError: Error, Hashable, CustomStringConvertible {
    /// It took longer than the limit and was stopped.
    case timedOut(seconds: Double)
    /// It took more memory than the limit and was stopped. The engine may still hold it: make a new one.
    case outOfMemory(bytes: Int)
    /// It threw; the text of what it threw.
    case exception(String)

    var description: String {
        if case .exception(let text) = self { return text }
        return excess?.reason ?? ""
    }

    /// For errors of a function that takes too much: the word of the answer, and what it did.
    var excess: (word: String, reason: String)? {
        switch self {
        case .timedOut(let seconds): ("timeout", "took longer than \(seconds) s")
        case .outOfMemory(let bytes): ("out_of_memory", "took more than \(bytes >> 20) MiB of memory")
        case .exception: nil
        }
    }
}

/// One JavaScript world: a context group with one context, limits of time and memory, and the harness in it. Nothing else
/// is there, so functions can reach no files, network, clock but `Date`, or other databases.
///
/// Belongs to the thread that made it.
final class JavaScriptEngine {
    private let group: JSContextGroupRef
    private let context: JSGlobalContextRef
    private let harness: JSObjectRef
    private var functions: [String: JSObjectRef] = [:]
    private let watch: UnsafeMutablePointer<JavaScriptWatch>

    init(limits: JavaScriptLimits) {
        precondition(JavaScriptProcess.isPrepared)
        watch = .allocate(capacity: 1)
        watch.initialize(to: JavaScriptWatch(limits: limits))
        group = JSContextGroupCreate()
        context = JSGlobalContextCreateInGroup(group, nil)
        Self.arm(group, watch)
        let script = Self.string(Array(JavaScriptHarness.source.utf8))
        defer { JSStringRelease(script) }
        var exception: JSValueRef?
        guard let value = JSEvaluateScript(context, script, nil, nil, 1, &exception), exception == nil else {
            fatalError("the JavaScript harness does not run: \(Self.text(exception, context))")
        }
        harness = JSValueToObject(context, value, nil)
        JSValueProtect(context, harness)
    }

    /// Has JavaScriptCore ask the watch after its interval.
    private static func arm(_ group: JSContextGroupRef, _ watch: UnsafeMutableRawPointer) {
        JSContextGroupSetExecutionTimeLimit(
            group, JavaScriptWatch.interval,
            { context, watch in
                guard let context, let watch else { return true }
                if watch.assumingMemoryBound(to: JavaScriptWatch.self).pointee.mustStop(context) { return true }
                // JavaScriptCore asks again only when the limit is set anew (Watchdog::shouldTerminate, 2.50.6).
                if let group = JSContextGetGroup(context) { JavaScriptEngine.arm(group, watch) }
                return false
            }, watch)
    }

    deinit {
        JSValueUnprotect(context, harness)
        JSGlobalContextRelease(context)
        JSContextGroupRelease(group)
        watch.deallocate()
    }

    /// Calls a function of the harness with texts and answers its text.
    func call(_ name: String, _ arguments: [UInt8]...) throws(JavaScriptError) -> [UInt8] {
        try call(name, arguments)
    }

    /// Calls a function of the harness with texts and answers its text.
    func call(_ name: String, _ arguments: [[UInt8]]) throws(JavaScriptError) -> [UInt8] {
        let function = function(named: name)
        let values = arguments.map { argument -> JSValueRef? in
            let text = Self.string(argument)
            defer { JSStringRelease(text) }
            return JSValueMakeString(context, text)
        }
        watch.pointee.begin()
        var exception: JSValueRef?
        let result = values.withUnsafeBufferPointer { values in
            JSObjectCallAsFunction(context, function, harness, values.count, values.baseAddress, &exception)
        }
        watch.pointee.end(context)
        if let reason = watch.pointee.reason { throw reason }
        guard let result, exception == nil else { throw .exception(Self.text(exception, context)) }
        return Self.bytes(result, context)
    }

    private func function(named name: String) -> JSObjectRef {
        if let known = functions[name] { return known }
        let key = JSStringCreateWithUTF8CString(name)
        defer { JSStringRelease(key) }
        let value = JSObjectGetProperty(context, harness, key, nil)
        let function = JSValueToObject(context, value, nil)!
        functions[name] = function
        return function
    }

    private static func string(_ text: [UInt8]) -> JSStringRef {
        // JSON text holds no zero byte; a function's source might, and ends there.
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: text.count + 1) { buffer in
            text.withUnsafeBytes { UnsafeMutableRawBufferPointer(buffer).copyMemory(from: $0) }
            buffer[text.count] = 0
            return JSStringCreateWithUTF8CString(buffer.baseAddress)
        }
    }

    private static func bytes(_ value: JSValueRef, _ context: JSContextRef) -> [UInt8] {
        guard let text = JSValueToStringCopy(context, value, nil) else { return [] }
        defer { JSStringRelease(text) }
        let room = JSStringGetMaximumUTF8CStringSize(text)
        return [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
            let written = buffer.withMemoryRebound(to: CChar.self) { characters in
                JSStringGetUTF8CString(text, characters.baseAddress, room)
            }
            count = max(0, written - 1)
        }
    }

    private static func text(_ exception: JSValueRef?, _ context: JSContextRef) -> String {
        guard let exception else { return "unknown error" }
        return String(decoding: bytes(exception, context), as: UTF8.self)
    }
}

/// A function of ours that the harness may call.
private final class HostFunction {
    let body: (_ argument: [UInt8]) -> [UInt8]?
    init(_ body: @escaping ([UInt8]) -> [UInt8]?) { self.body = body }
}

extension JavaScriptEngine {
    // Written once, here; JavaScriptCore only reads a class.
    nonisolated(unsafe) private static let hostClass: JSClassRef? = {
        var definition = JSClassDefinition()
        definition.callAsFunction = { context, function, _, count, arguments, _ in
            guard let context, let data = JSObjectGetPrivate(function) else { return nil }
            let host = Unmanaged<HostFunction>.fromOpaque(data).takeUnretainedValue()
            var argument: [UInt8] = []
            if count > 0, let value = arguments?[0] { argument = JavaScriptEngine.bytes(value, context) }
            guard let answer = host.body(argument) else { return JSValueMakeNull(context) }
            let text = JavaScriptEngine.string(answer)
            defer { JSStringRelease(text) }
            return JSValueMakeString(context, text)
        }
        definition.finalize = { object in
            if let data = JSObjectGetPrivate(object) { Unmanaged<HostFunction>.fromOpaque(data).release() }
        }
        return JSClassCreate(&definition)
    }()

    /// Gives the harness a function that takes a text and answers a text; `nil` is `null`. JavaScript stands still while it
    /// runs, and that time does not count.
    func provide(_ name: String, _ body: @escaping (_ argument: [UInt8]) -> [UInt8]?) {
        let key = JSStringCreateWithUTF8CString(name)
        defer { JSStringRelease(key) }
        let object = JSObjectMake(context, Self.hostClass, Unmanaged.passRetained(HostFunction(body)).toOpaque())
        JSObjectSetProperty(context, harness, key, object, 0, nil)
    }
}
