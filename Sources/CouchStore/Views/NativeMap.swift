/// A map function that needs no JavaScript, such as that of a Mango index.
package protocol NativeMap: Sendable {
    /// Gives the rows of a document, which stands as JSON text with `_id` and `_rev`. Key and value of a row are JSON text.
    ///
    /// Called on the index' own thread, one document after the other.
    func emitRows(
        of document: UnsafeBufferPointer<UInt8>, id: String, _ emit: (_ key: [UInt8], _ value: [UInt8]) -> Void)
}
