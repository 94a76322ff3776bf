// swift-tools-version: 6.2
import PackageDescription

// Every target holds to the same rules: Swift 6 mode, explicit existentials, imports visible where they are used.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

// Where a request passes through many small async functions: they go on where their caller is, without asking where that is.
let inPlace = strict + [.enableUpcomingFeature("NonisolatedNonsendingByDefault")]

let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
    name: "tokenpool",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "tokenpool", targets: ["TokenPoolCLI"]),
        .executable(name: "tokenpoold", targets: ["TokenPoolDaemon"]),
        .library(name: "CouchDB", targets: ["CouchDB"]),
        .library(name: "TokenPool", targets: ["TokenPool"]),
        .library(name: "TokenPoolWorker", targets: ["TokenPoolWorker"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0", traits: []),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // Ground floor: what both wings share.
        .target(name: "CouchDocument", dependencies: [crypto], swiftSettings: strict),
        .target(
            name: "DesignDocuments", dependencies: ["CouchDocument"], swiftSettings: strict, plugins: ["EmbedViews"]),
        .plugin(name: "EmbedViews", capability: .buildTool(), dependencies: ["EmbedViewsTool"]),
        .executableTarget(name: "EmbedViewsTool", swiftSettings: strict),

        // Client wing: everything that talks to documents over HTTP.
        .target(name: "CouchDB", dependencies: ["CouchDocument", "CCurl", crypto, logging], swiftSettings: strict),
        .target(
            name: "TokenPool",
            dependencies: [
                "CouchDB", "CouchDocument", "DesignDocuments", crypto, logging, .product(name: "Yams", package: "Yams"),
            ], swiftSettings: strict),
        .target(
            name: "DispatcherClient", dependencies: ["CouchDB", "CouchDocument", crypto, logging],
            swiftSettings: strict),
        .target(
            name: "GridData", dependencies: ["CouchDB", "CouchDocument", "TokenPool", logging],
            swiftSettings: strict),
        .target(
            name: "Sandboxes", dependencies: ["CouchDocument", "CouchDB", "CArchive", "CCurl", crypto, logging],
            swiftSettings: strict),
        .target(
            name: "TokenPoolWorker",
            dependencies: [
                "CouchDB", "CouchDocument", "CSpawn", "DispatcherClient", "Sandboxes", "TokenPool", crypto, logging,
                lifecycle,
            ], swiftSettings: strict),
        .executableTarget(
            name: "TokenPoolCLI",
            dependencies: [
                "CouchDB", "CouchDocument", "DesignDocuments", "DispatcherClient", "GridData", "Sandboxes",
                "TokenPool", "TokenPoolWorker", arguments, crypto, logging, lifecycle,
                .product(name: "CryptoExtras", package: "swift-crypto"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "Yams", package: "Yams"),
            ], swiftSettings: strict),

        // Proofs of who somebody is, for the server wing.
        .target(
            name: "WebTokens",
            dependencies: ["CouchDocument", crypto, .product(name: "CryptoExtras", package: "swift-crypto")],
            swiftSettings: strict),
        .target(
            name: "GridCertificates",
            dependencies: [
                .product(name: "SwiftASN1", package: "swift-asn1"),
                .product(name: "X509", package: "swift-certificates"),
            ], swiftSettings: strict),
        .target(name: "LDAPDirectory", dependencies: ["CLDAP"], swiftSettings: strict),

        // Server wing: the embedded store and its HTTP face.
        .target(
            name: "CouchStore",
            dependencies: [
                "CICU", "CJavaScriptCore", "CSQLite", "CouchDocument", crypto, logging,
                .product(name: "GRDB", package: "GRDB.swift"), .product(name: "GRDBSQLite", package: "GRDB.swift"),
            ], swiftSettings: inPlace),
        .target(
            name: "CouchServer",
            dependencies: [
                "CouchDocument", "CouchStore", "WebTokens", crypto, logging,
                .product(name: "CryptoExtras", package: "swift-crypto"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ], swiftSettings: strict),
        // Runs in the daemon and is a client like any other: the wings still meet over HTTP only.
        .target(
            name: "Replication", dependencies: ["CouchDB", "CouchDocument", crypto, logging, lifecycle],
            swiftSettings: strict),
        // The dispatcher: served beside the store, and a client of it.
        .target(
            name: "Gateway",
            dependencies: [
                "CouchDB", "CouchDocument", "GridCertificates", "TokenPool", "WebTokens", crypto, logging,
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "NIOCore", package: "swift-nio"),
            ], swiftSettings: strict),
        .executableTarget(
            name: "TokenPoolDaemon",
            dependencies: [
                "CouchDB", "CouchServer", "CouchStore", "CouchDocument", "Gateway", "GridData", "LDAPDirectory",
                "Replication",
                "TokenPool", arguments, logging,
                lifecycle, .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict),

        // Tests: a room each, and whole journeys against a real server on a real port.
        .target(
            name: "TestSupport", dependencies: ["CouchDB", "CouchDocument", "CSpawn", "TokenPoolDaemon"],
            path: "Tests/TestSupport",
            swiftSettings: strict),
        .target(
            name: "FuzzTargets",
            dependencies: [
                "CouchDocument", "CouchServer", "CouchStore", logging,
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOEmbedded", package: "swift-nio"),
            ], path: "Tests/Fuzz/Targets", swiftSettings: strict),
        .testTarget(
            name: "CouchServerTests",
            dependencies: [
                "CouchDocument", "CouchServer", "FuzzTargets", .product(name: "NIOCore", package: "swift-nio"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "CouchDocumentTests", dependencies: ["CouchDocument", "TestSupport", crypto], swiftSettings: strict),
        .testTarget(
            name: "CouchStoreTests",
            dependencies: [
                "CouchDocument", "CouchStore", logging, .product(name: "GRDB", package: "GRDB.swift"),
            ], swiftSettings: strict),
        .testTarget(
            name: "CouchConformanceTests", dependencies: ["CouchDocument", "TestSupport"],
            resources: [.copy("Recordings")], swiftSettings: strict),
        .testTarget(
            name: "CouchDBTests", dependencies: ["CouchDB", "CouchDocument", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "DispatcherClientTests",
            dependencies: ["CouchDB", "CouchDocument", "DispatcherClient", "TestSupport", logging],
            swiftSettings: strict),
        .testTarget(
            name: "DurabilityTests", dependencies: ["CouchDB", "CouchDocument", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "TokenPoolTests",
            dependencies: ["CouchDB", "CouchDocument", "DesignDocuments", "TestSupport", "TokenPool", logging],
            swiftSettings: strict),
        .testTarget(
            name: "GatewayTests",
            dependencies: [
                "CouchDB", "CouchDocument", "DesignDocuments", "Gateway", "GridCertificates", "LDAPDirectory",
                "TestSupport", "TokenPool", "WebTokens", crypto,
                .product(name: "CryptoExtras", package: "swift-crypto"),
            ], swiftSettings: strict),
        .testTarget(
            name: "GridDataTests",
            dependencies: [
                "CouchDB", "CouchDocument", "DesignDocuments", "GridData", "TestSupport", "TokenPool", logging,
            ], swiftSettings: strict),
        .testTarget(
            name: "ReplicationTests",
            dependencies: ["CouchDB", "CouchDocument", "Replication", "TestSupport", logging], swiftSettings: strict),
        .testTarget(
            name: "SandboxesTests", dependencies: ["CouchDB", "CouchDocument", "Sandboxes", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "TokenPoolWorkerTests",
            dependencies: [
                "CouchDB", "CouchDocument", "DesignDocuments", "TestSupport", "TokenPool", "TokenPoolWorker", logging,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "InteropTests",
            dependencies: ["CouchDB", "CouchDocument", "TestSupport", "TokenPool", "TokenPoolCLI", logging],
            // Programs for Python and what they play, run from the source folder.
            exclude: ["Python", "DataDispatcher"],
            swiftSettings: strict),

        // C libraries of the system.
        .target(name: "CSpawn"),
        .target(name: "CSQLite", linkerSettings: [.linkedLibrary("sqlite3")]),
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CLDAP", pkgConfig: "ldap", providers: [.apt(["libldap-dev"])]),
        .systemLibrary(name: "CArchive", pkgConfig: "libarchive", providers: [.apt(["libarchive-dev"])]),
        .systemLibrary(
            name: "CJavaScriptCore", pkgConfig: "javascriptcoregtk-4.1",
            providers: [.apt(["libjavascriptcoregtk-4.1-dev"])]),
        .target(
            name: "CICU",
            linkerSettings: [.linkedLibrary("icui18n"), .linkedLibrary("icuuc")]),
    ]
)

// For `Scripts/fuzz`: only what is fuzzed, for with libFuzzer every program has the `main` of libFuzzer.
if Context.environment["TOKENPOOL_FUZZ"] != nil {
    let fuzzed = [
        "CICU", "CJavaScriptCore", "CSQLite", "CouchDocument", "CouchServer", "CouchStore", "FuzzTargets", "WebTokens",
    ]
    package.products = []
    package.targets = package.targets.filter { fuzzed.contains($0.name) }
    package.targets.append(
        .executableTarget(
            name: "fuzzer", dependencies: ["FuzzTargets"], path: "Tests/Fuzz/Fuzzer",
            swiftSettings: strict + [.unsafeFlags(["-parse-as-library"])]))
}
