// swift-tools-version:6.3

import PackageDescription

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

/// Targets that handle raw memory must say so at each use.
let memorySafe: [SwiftSetting] = strict + [.strictMemorySafety()]

// The targets are in the order of the way of a byte, lowest first; nothing imports what stands below it.
let package = Package(
    name: "fermata",
    products: [
        .executable(name: "fermata", targets: ["fermata"])
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0", traits: []),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    ],
    targets: [
        .systemLibrary(name: "CFastCGI", providers: [.apt(["libfcgi-dev"])]),
        .systemLibrary(name: "CXXHash", providers: [.apt(["libxxhash-dev"])]),
        .systemLibrary(name: "CCrypto", providers: [.apt(["libssl-dev"])]),
        .target(name: "CPosix"),
        .target(name: "CMD5"),
        .target(name: "CParameters"),
        .target(
            name: "Metrics",
            dependencies: ["CPosix", .product(name: "SystemPackage", package: "swift-system")],
            swiftSettings: memorySafe
        ),
        .target(name: "Threading", dependencies: ["CPosix"], swiftSettings: memorySafe),

        .target(name: "MultipartForm", swiftSettings: memorySafe),
        .target(name: "Uploads", swiftSettings: memorySafe),
        .target(
            name: "Digests",
            dependencies: ["CCrypto", "CMD5", "CXXHash", "Threading", "Uploads"],
            swiftSettings: memorySafe
        ),
        .target(
            name: "Dialects",
            dependencies: [
                "Uploads", "MultipartForm", "Digests",
                .product(name: "HTTPTypes", package: "swift-http-types"),
            ],
            swiftSettings: memorySafe
        ),
        .target(name: "Mounts", dependencies: ["Uploads", "Digests", "Dialects"], swiftSettings: memorySafe),
        .target(
            name: "FastCGI",
            dependencies: [
                "CFastCGI", "CParameters", "CPosix", "Threading",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: memorySafe
        ),
        .target(
            name: "Staging",
            dependencies: [
                "CPosix", "Digests", "Threading", "Uploads",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: memorySafe
        ),
        .target(
            name: "Ledger",
            dependencies: [
                "Metrics", "Threading", "Uploads", .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: memorySafe
        ),
        .target(
            name: "Programs",
            dependencies: ["CPosix", .product(name: "SystemPackage", package: "swift-system")],
            swiftSettings: memorySafe
        ),
        .target(
            name: "Engine",
            dependencies: [
                "Uploads", "Digests", "Metrics", "Staging", "Ledger", "Programs", "Threading",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: memorySafe
        ),
        .target(
            name: "Responder",
            dependencies: [
                "FastCGI", "MultipartForm", "Dialects", "Digests", "Engine", "Metrics", "Mounts", "Threading",
                "Uploads",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: memorySafe
        ),
        .target(name: "Doctor", dependencies: ["Dialects", "Mounts", "Staging"], swiftSettings: memorySafe),
        .executableTarget(
            name: "fermata",
            dependencies: [
                "Doctor",
                "Digests", "Dialects", "FastCGI", "Ledger", "Metrics", "Mounts", "Engine", "Responder", "Uploads",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: memorySafe
        ),

        .testTarget(name: "DocumentationTests", swiftSettings: strict),
        .testTarget(name: "ThreadingTests", dependencies: ["Threading"], swiftSettings: strict),
        .testTarget(name: "MultipartFormTests", dependencies: ["MultipartForm"], swiftSettings: strict),
        .testTarget(name: "DigestsTests", dependencies: ["Digests", "Uploads"], swiftSettings: strict),
        .testTarget(name: "DoctorTests", dependencies: ["Doctor"], swiftSettings: strict),
        .testTarget(
            name: "SampleDialectTests",
            dependencies: [
                "Dialects", "Digests", "Engine", "Ledger", "Mounts", "Responder", "Uploads",
                .product(name: "HTTPTypes", package: "swift-http-types"),
            ],
            swiftSettings: strict
        ),
        .testTarget(name: "MountsTests", dependencies: ["Dialects", "Mounts", "Uploads"], swiftSettings: strict),
        .testTarget(
            name: "MetricsTests",
            dependencies: ["Metrics", .product(name: "SystemPackage", package: "swift-system")],
            swiftSettings: strict
        ),
        .testTarget(name: "ProgramsTests", dependencies: ["Programs"], swiftSettings: strict),
        .testTarget(
            name: "ResponderTests",
            dependencies: [
                "Responder", "Uploads",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict
        ),
        .testTarget(name: "UploadsTests", dependencies: ["Uploads"], swiftSettings: strict),
        .testTarget(
            name: "DialectsTests",
            dependencies: [
                "Dialects", "Digests", "Engine", "Ledger", "Uploads", "MultipartForm",
                .product(name: "HTTPTypes", package: "swift-http-types"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "FastCGITests",
            dependencies: [
                "FastCGI", "CFastCGI", "Threading",
                .product(name: "HTTPTypes", package: "swift-http-types"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "StagingTests",
            dependencies: [
                "Staging", "Digests", "Uploads", .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "LedgerTests",
            dependencies: ["Ledger", "Uploads", .product(name: "GRDB", package: "GRDB.swift")],
            swiftSettings: strict
        ),
        .testTarget(
            name: "EngineTests",
            dependencies: [
                "Engine", "Digests", "Ledger", "Staging", "Threading", "Uploads",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "Digests", "Dialects", "Engine", "Ledger", "Mounts", "Responder", "Staging", "Uploads",
                .product(name: "HTTPTypes", package: "swift-http-types"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "Fuzzing",
            dependencies: [
                "Digests", "Dialects", "Engine", "Ledger", "MultipartForm", "Mounts", "Responder", "Threading",
                "Uploads",
                .product(name: "HTTPTypes", package: "swift-http-types"),
            ],
            path: "Tests/Fuzzing",
            exclude: ["words.dict"],
            swiftSettings: strict
        ),
        .testTarget(name: "FuzzingTests", dependencies: ["Fuzzing"], swiftSettings: strict),
        .target(
            name: "Races",
            dependencies: ["Digests", "Threading", "Uploads"],
            path: "Tests/Races",
            swiftSettings: strict
        ),
        .testTarget(name: "RacesTests", dependencies: ["Races"], swiftSettings: strict),
        .executableTarget(name: "racer", dependencies: ["Races"], path: "Tests/Racer", swiftSettings: strict),
        .executableTarget(
            name: "benchmark",
            dependencies: [
                "Digests", "Ledger", "MultipartForm", "Uploads",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Tests/Benchmark",
            exclude: ["Instructions/counts.txt", "Plots"],
            swiftSettings: strict
        ),
    ]
)

// libFuzzer is there only in a build that Tests/fuzz makes.
if Context.environment["FERMATA_FUZZ"] != nil {
    package.targets += [
        .systemLibrary(name: "CLibFuzzer", path: "Tests/CLibFuzzer"),
        .executableTarget(
            name: "fuzzer",
            dependencies: ["Fuzzing", "CLibFuzzer"],
            path: "Tests/Fuzzer",
            swiftSettings: strict
        ),
    ]
}
