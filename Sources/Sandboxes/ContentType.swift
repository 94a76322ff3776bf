/// Media types by the ends of names.
package enum ContentType {
    /// The type of a file of that name; `application/octet-stream` when its end is unknown.
    package static func ofFile(named name: String) -> String {
        let last = name.split(separator: "/").last.map(String.init) ?? name
        guard let dot = last.lastIndex(of: ".") else { return types[last.lowercased()] ?? unknown }
        return types[last[last.index(after: dot)...].lowercased()] ?? unknown
    }

    package static let unknown = "application/octet-stream"

    private static let types = [
        "txt": "text/plain", "log": "text/plain", "out": "text/plain", "err": "text/plain", "parset": "text/plain",
        "cfg": "text/plain", "conf": "text/plain", "ini": "text/plain", "sh": "text/plain", "dat": unknown,
        "csv": "text/csv", "tsv": "text/tab-separated-values", "md": "text/markdown", "html": "text/html",
        "htm": "text/html", "css": "text/css", "js": "text/javascript", "py": "text/x-python", "tex": "text/x-tex",
        "json": "application/json", "jsonl": "application/x-ndjson", "ndjson": "application/x-ndjson",
        "geojson": "application/geo+json", "xml": "application/xml", "yaml": "application/yaml",
        "yml": "application/yaml", "toml": "application/toml", "pdf": "application/pdf", "ps": "application/postscript",
        "ipynb": "application/x-ipynb+json", "sqlite": "application/vnd.sqlite3", "wasm": "application/wasm",
        "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "svg": "image/svg+xml",
        "webp": "image/webp", "tif": "image/tiff", "tiff": "image/tiff", "bmp": "image/bmp",
        "ppm": "image/x-portable-pixmap", "pgm": "image/x-portable-graymap", "pbm": "image/x-portable-bitmap",
        "fits": "image/fits", "fit": "image/fits", "mp4": "video/mp4", "webm": "video/webm", "wav": "audio/wav",
        "mp3": "audio/mpeg", "h5": "application/x-hdf5", "hdf5": "application/x-hdf5", "nc": "application/x-netcdf",
        "parquet": "application/vnd.apache.parquet", "npy": unknown, "npz": "application/zip",
        "zip": "application/zip", "tar": "application/x-tar", "gz": "application/gzip", "tgz": "application/gzip",
        "xz": "application/x-xz", "zst": "application/zstd", "bz2": "application/x-bzip2",
    ]
}
