//! What may a file of many requests say? A URL or a path per line, or a JSON object per line, or both.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use report::os::why;
use serde::Deserialize;
use serde::de::{MapAccess, SeqAccess, Visitor};

use crate::hash::fnv1a;

/// The most lines with requests: each takes somewhat less than a kilobyte of memory.
pub const MOST_LINES: usize = 1_000_000;
/// The most bytes of a file, and of all the bodies in it together.
pub const MOST_BYTES: u64 = 256 * 1024 * 1024;
/// A line is sent so many times as often as another one, at most.
const MOST_WEIGHT: u32 = 1_000_000;

/// A file of requests as it is written.
#[derive(Debug)]
pub struct Mix {
    /// The file's name without its folder.
    pub name: String,
    /// Hash of what it says, bodies that lie in other files included.
    pub hash: u64,
    /// Its requests.
    pub lines: Vec<Line>,
}

/// One request as it is written.
#[derive(Debug)]
pub struct Line {
    /// Where it stands, counted from 1.
    pub number: usize,
    /// URL, or path and query.
    pub target: String,
    /// Method, where it says one.
    pub method: Option<String>,
    /// Its own header fields.
    pub headers: Vec<(String, String)>,
    /// Its own body.
    pub body: Option<Bytes>,
    /// How often it is sent, beside the others.
    pub weight: u32,
    /// What it is counted under, where it says so.
    pub name: Option<String>,
}

/// Why a file cannot be used. The message names the line.
#[derive(Debug, thiserror::Error)]
#[error("{}{}: {problem}", path.display(), line.map(|line| format!(", line {line}")).unwrap_or_default())]
pub struct MixError {
    path: PathBuf,
    line: Option<usize>,
    problem: String,
}

impl MixError {
    /// A problem with one line.
    pub fn at(path: &Path, line: usize, problem: &dyn fmt::Display) -> Self {
        Self { path: path.to_owned(), line: Some(line), problem: problem.to_string() }
    }

    /// A problem with the whole file.
    pub fn of(path: &Path, problem: &dyn fmt::Display) -> Self {
        Self { path: path.to_owned(), line: None, problem: problem.to_string() }
    }
}

/// A JSON object of a line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    #[serde(alias = "path")]
    url: String,
    method: Option<String>,
    #[serde(default)]
    headers: Fields,
    body: Option<String>,
    body_file: Option<PathBuf>,
    weight: Option<u32>,
    name: Option<String>,
}

/// Header fields in the order in which they are written: `{"A": "1"}` or `["A: 1"]`.
#[derive(Debug, Default)]
struct Fields(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("header fields as {\"Name\": \"value\"} or [\"Name: value\"]")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = list.next_element::<String>()? {
                    let (name, value) = field.split_once(':').ok_or_else(|| {
                        serde::de::Error::custom(format!(
                            "`{field}` is not a header field: write it like \"Name: value\""
                        ))
                    })?;
                    fields.push((name.to_owned(), value.trim().to_owned()));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// Reads a file.
///
/// # Errors
/// When it cannot be read, or a line is no request.
pub fn read(path: &Path) -> Result<Mix, MixError> {
    let unreadable = |error: std::io::Error| MixError::of(path, &format!("cannot be read: {}", why(&error)));
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > MOST_BYTES {
        let most = MOST_BYTES / 1024 / 1024;
        return Err(MixError::of(path, &format!("is larger than {most} MiB: give a part of it")));
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count();
        MixError::at(path, line, &"is not text in UTF-8")
    })?;
    let mut bodies = Bodies { folder: path.parent().unwrap_or(Path::new("")), read: HashMap::new() };
    let mut hashes = vec![fnv1a(&bytes)];
    let (mut lines, mut body_bytes) = (Vec::new(), 0);
    for (number, text) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let (line, hash) =
            line(number, text, &mut bodies).map_err(|problem| MixError::at(path, number, &problem))?;
        hashes.extend(hash);
        body_bytes += line.body.as_ref().map_or(0, |body| body.len() as u64);
        if body_bytes > MOST_BYTES {
            let most = MOST_BYTES / 1024 / 1024;
            return Err(MixError::at(
                path,
                number,
                &format!("all bodies up to here have more than {most} MiB"),
            ));
        }
        if lines.len() == MOST_LINES {
            return Err(MixError::at(
                path,
                number,
                &format!("more than {MOST_LINES} requests: give a part of them"),
            ));
        }
        lines.push(line);
    }
    if lines.is_empty() {
        return Err(MixError::of(
            path,
            &"holds no request: write a URL, a path or a JSON object on each line",
        ));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let hash = fnv1a(&hashes.iter().flat_map(|hash| hash.to_le_bytes()).collect::<Vec<_>>());
    Ok(Mix { name, hash, lines })
}

/// Bodies that lie in files of their own; each file is read once.
struct Bodies<'a> {
    /// Their names count from the folder of the mix.
    folder: &'a Path,
    read: HashMap<PathBuf, Bytes>,
}

impl Bodies<'_> {
    fn read(&mut self, path: PathBuf) -> Result<Bytes, String> {
        if let Some(body) = self.read.get(&path) {
            return Ok(body.clone());
        }
        let place = self.folder.join(&path);
        let size = std::fs::metadata(&place).map_or(0, |metadata| metadata.len());
        let body = std::fs::read(&place).map_err(|error| why(&error));
        let body = if size > MOST_BYTES { Err("it is too large".to_owned()) } else { body };
        let body = body.map_err(|error| format!("cannot read the body from {}: {error}", place.display()))?;
        let body = Bytes::from(body);
        self.read.insert(path, body.clone());
        Ok(body)
    }
}

/// One line, and the hash of a body that it has from a file.
fn line(number: usize, text: &str, bodies: &mut Bodies<'_>) -> Result<(Line, Option<u64>), String> {
    if !text.starts_with('{') {
        if text.contains(char::is_whitespace) {
            return Err(format!("`{text}` is neither a URL or path, nor a JSON object"));
        }
        let line = Line {
            number,
            target: text.to_owned(),
            method: None,
            headers: Vec::new(),
            body: None,
            weight: 1,
            name: None,
        };
        return Ok((line, None));
    }
    let object: Object = serde_json::from_str(text).map_err(|error| {
        format!("is no request: {}", error.to_string().replace(" at line 1 column ", " at column "))
    })?;
    let Object { url: target, method, headers: Fields(headers), body, body_file, weight, name } = object;
    let weight = weight.unwrap_or(1);
    if !(1..=MOST_WEIGHT).contains(&weight) {
        return Err(format!("a weight is a whole number from 1 to {MOST_WEIGHT}, not {weight}"));
    }
    let (body, hash) = match (body, body_file) {
        (Some(_), Some(_)) => return Err("`body` and `body_file` exclude each other".to_owned()),
        (Some(body), None) => (Some(Bytes::from(body)), None),
        (None, Some(file)) => {
            let body = bodies.read(file)?;
            let hash = fnv1a(&body);
            (Some(body), Some(hash))
        }
        (None, None) => (None, None),
    };
    Ok((Line { number, target, method, headers, body, weight, name }, hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Mix, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("body.bin"), b"\xff\x00").unwrap();
        let path = folder.path().join("mix.txt");
        std::fs::write(&path, text).unwrap();
        read(&path).map_err(|error| error.to_string().split_once("mix.txt").unwrap().1.to_owned())
    }

    #[test]
    fn lines_are_urls_or_objects() {
        let mix = read_text(
            "\u{feff}# a comment\r\n\n/a?b=1\r\n  http://h/  \n\
             {\"path\": \"/c\", \"method\": \"post\", \"headers\": {\"B\": \"2\", \"A\": \"1:1\"}, \"body\": \"x\", \"weight\": 3, \
             \"name\": \"n\"}\n{\"url\": \"/d\", \"headers\": [\"A: 1:1\"], \"body_file\": \"body.bin\"}",
        )
        .unwrap();
        let [a, h, c, d] = &mix.lines[..] else { panic!("{mix:?}") };
        assert_eq!((a.number, a.target.as_str(), h.number, h.target.as_str()), (3, "/a?b=1", 4, "http://h/"));
        assert_eq!((c.method.as_deref(), c.weight, c.name.as_deref()), (Some("post"), 3, Some("n")));
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            (&c.headers, &d.headers),
            (&vec![field("B", "2"), field("A", "1:1")], &vec![field("A", "1:1")])
        );
        assert_eq!((c.body.as_deref(), d.body.as_deref()), (Some(&b"x"[..]), Some(&b"\xff\x00"[..])));
        assert_eq!((mix.name.as_str(), d.weight), ("mix.txt", 1));
    }

    #[test]
    fn the_hash_is_of_what_is_said() {
        let hash = |text| read_text(text).unwrap().hash;
        assert_eq!(hash("/a"), hash("/a"));
        assert_ne!(hash("/a"), hash("/b"));
        assert_ne!(hash("{\"url\":\"/a\"}"), hash("{\"url\":\"/a\",\"body_file\":\"body.bin\"}"));
    }

    #[test]
    fn errors_name_the_line() {
        for (text, sign) in [
            ("", ": holds no request"),
            ("# nothing\n", ": holds no request"),
            ("/a\nGET /b", ", line 2: `GET /b` is neither"),
            ("/a\n\n{\"url\": 5}", ", line 3: is no request: invalid type"),
            ("{\"url\": \"/\", \"wight\": 2}", "unknown field `wight`"),
            ("{\"method\": \"GET\"}", ", line 1: is no request: missing field `url` at column 17"),
            ("{\"url\": \"/\", \"weight\": 0}", "from 1 to 1000000, not 0"),
            ("{\"url\": \"/\", \"body\": {}}", "expected a string"),
            ("{\"url\": \"/\", \"headers\": \"A\"}", "expected header fields as"),
            ("{\"url\": \"/\", \"headers\": [\"A\"]}", "`A` is not a header field"),
            ("{\"url\": \"/\", \"body\": \"\", \"body_file\": \"x\"}", "exclude each other"),
            ("{\"url\": \"/\", \"body_file\": \"none\"}", "cannot read the body"),
        ] {
            let error = read_text(text).unwrap_err();
            assert!(error.contains(sign) && !error.contains("line 1 column"), "{text}: {error}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mix.txt");
        std::fs::write(&path, b"/a\n/\xff\n").unwrap();
        assert!(read(&path).unwrap_err().to_string().ends_with("mix.txt, line 2: is not text in UTF-8"));
        assert!(read(folder.path()).is_err() && read(Path::new("nowhere")).is_err());
    }
}
