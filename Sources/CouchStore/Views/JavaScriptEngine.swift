import CJavaScriptCore
import CouchDocument

/// Why a call into JavaScript gave no answer.
enum JavaScriptError: Error, Hashable {
    /// It took longer than the limit and was stopped.
    case timedOut
    /// It threw; the text of what it threw.
    case exception(String)
}

/// One JavaScript world: a context group with one context, a time limit, and the harness in it. Nothing else is there,
/// so functions can reach no files, network, clock but `Date`, or other databases.
///
/// Belongs to the thread that made it.
final class JavaScriptEngine {
    private let group: JSContextGroupRef
    private let context: JSGlobalContextRef
    private let harness: JSObjectRef
    private var functions: [String: JSObjectRef] = [:]
    /// Set by the watchdog; the only way to tell its stop from a thrown text.
    private let wasStopped: UnsafeMutablePointer<Bool>

    /// Has compiled code look for the watchdog's stop by itself. JavaScriptCore's default is to interrupt the thread by a
    /// signal and to patch the code that it runs; now and then that does not stop an endless loop (2.50.6).
    private static let pollsForStops: Bool = jsc_options_set_boolean("usePollingTraps", 1) != 0

    init(limits: JavaScriptLimits) {
        precondition(Self.pollsForStops, "this JavaScriptCore can not be told to stop endless loops; use 2.40 or later")
        wasStopped = .allocate(capacity: 1)
        wasStopped.initialize(to: false)
        group = JSContextGroupCreate()
        context = JSGlobalContextCreateInGroup(group, nil)
        JSContextGroupSetExecutionTimeLimit(
            group, limits.seconds,
            { _, flag in
                flag?.assumingMemoryBound(to: Bool.self).pointee = true
                return true
            }, wasStopped)
        let script = Self.string(Array(JavaScriptHarness.source.utf8))
        defer { JSStringRelease(script) }
        var exception: JSValueRef?
        guard let value = JSEvaluateScript(context, script, nil, nil, 1, &exception), exception == nil else {
            fatalError("the JavaScript harness does not run: \(Self.text(exception, context))")
        }
        harness = JSValueToObject(context, value, nil)
        JSValueProtect(context, harness)
    }

    deinit {
        JSValueUnprotect(context, harness)
        JSGlobalContextRelease(context)
        JSContextGroupRelease(group)
        wasStopped.deallocate()
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
        wasStopped.pointee = false
        var exception: JSValueRef?
        let result = values.withUnsafeBufferPointer { values in
            JSObjectCallAsFunction(context, function, harness, values.count, values.baseAddress, &exception)
        }
        if wasStopped.pointee { throw .timedOut }
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
