import Crypto
import CryptoExtras
import Foundation

/// Fernet tokens (https://github.com/fernet/spec): the form in which PiCaS keeps its password.
struct Fernet {
    private let signingKey: SymmetricKey
    private let encryptionKey: SymmetricKey

    /// `nil` when the text is not 32 bytes in URL-safe base64.
    init?(key: String) {
        guard let bytes = Self.decode(key), bytes.count == 32 else { return nil }
        signingKey = SymmetricKey(data: bytes.prefix(16))
        encryptionKey = SymmetricKey(data: bytes.suffix(16))
    }

    /// The text within; `nil` when the token was not made with this key or was changed. Its age does not matter.
    func decrypt(_ token: String) -> String? {
        guard let bytes = Self.decode(token), bytes.count >= 73, bytes.first == 0x80 else { return nil }
        let signed = bytes.dropLast(32)
        guard HMAC<SHA256>.isValidAuthenticationCode(bytes.suffix(32), authenticating: signed, using: signingKey),
            let iv = try? AES._CBC.IV(ivBytes: bytes[9..<25]),
            let plain = try? AES._CBC.decrypt(signed.dropFirst(25), using: encryptionKey, iv: iv)
        else { return nil }
        return String(data: plain, encoding: .utf8)
    }

    private static func decode(_ text: String) -> Data? {
        Data(base64Encoded: text.replacing("-", with: "+").replacing("_", with: "/"))
    }
}
