//! Bad input gets one sentence that says what to do, exit code 2, and nothing is started or written.

use std::net::TcpListener;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::helper::{Ended, Place};

/// Runs what is to be refused, and gives its sentence.
fn refused(place: &Place, words: &[&str]) -> String {
    let before = place.names();
    let ended = place.run(words);
    assert_refused(&ended, words);
    // Below it only the line of a file.
    let is_shown =
        |line: &str| line.trim_start().starts_with(|c: char| c.is_ascii_digit()) && line.contains(" | ");
    let lines = ended.stderr.lines().filter(|line| !is_shown(line)).count();
    assert_eq!(lines, 1, "not one sentence: {words:?} {}", ended.stderr);
    assert_eq!(place.names(), before, "{words:?} wrote something");
    assert_eq!(place.left_behind(), Vec::<String>::new(), "{words:?}");
    ended.stderr
}

fn assert_refused(ended: &Ended, words: &[&str]) {
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{words:?} {ended:?}");
    assert!(ended.stderr.starts_with("loadgen"), "{words:?} {ended:?}");
    ended.assert_calm();
}

/// Each line of words is refused with a sentence that holds all of `signs`.
fn assert_sentences(place: &Place, cases: &[(&[&str], &[&str])]) {
    for (words, signs) in cases {
        let sentence = refused(place, words);
        for sign in *signs {
            assert!(sentence.contains(sign), "{words:?}: `{sign}` is not in: {sentence}");
        }
    }
}

const URL: &str = "http://127.0.0.1:9/";
const TLS_URL: &str = "https://127.0.0.1:9/";

#[test]
fn urls() {
    let place = Place::new();
    assert_sentences(
        &place,
        &[
            (&[], &["no URL", "http://", "--help"]),
            (&["-n", "5"], &["no URL"]),
            (&["nonsense"], &["`nonsense`", "not a URL", "http://"]),
            (&["http://"], &["`http://`", "not a URL"]),
            (&["http://:80/"], &["not a URL"]),
            (&["http://host:99999/"], &["not a URL"]),
            (&["localhost:8080"], &["scheme", "http://localhost:8080"]),
            (&["127.0.0.1:8080/path"], &["scheme", "http://127.0.0.1:8080/path"]),
            (&["ftp://127.0.0.1/"], &["`ftp:`", "http://", "https://"]),
            (&[URL, "http://127.0.0.1:10/"], &["http://127.0.0.1:10/", "one"]),
            (&["rnu", "x.toml"], &["`rnu`", "loadgen run"]),
        ],
    );
}

#[test]
fn flags() {
    let place = Place::new();
    assert_sentences(
        &place,
        &[
            (&["--nonsense", URL], &["--nonsense", "--help"]),
            (&["-y", URL], &["-y", "--help"]),
            (&["-h2", URL], &["https://", "--h2c"]),
            (&["--h2c", "https://127.0.0.1:9/"], &["--http2"]),
            (&["-http1", "-h2", "https://127.0.0.1:9/"], &["--http1 and --http2 exclude each other"]),
            (&["-x", "socks5://127.0.0.1:9", URL], &["socks5", "http://"]),
            (&["-x", "http://", URL], &["proxy", "http://127.0.0.1:3128"]),
            (&["-x", "127.0.0.1:9", "--h2c", URL], &["--h2c and --proxy", "exclude"]),
            (&["-x", "127.0.0.1:9", "--resolve", "h:1:127.0.0.1", URL], &["--proxy", "--resolve", "exclude"]),
            (&["--resolve", "h:1", URL], &["`h:1`", "HOST:PORT:ADDRESS"]),
            (&["--connect-to", "h:1", URL], &["`h:1`", "HOST:PORT:HOST:PORT"]),
            (&["--unix-socket", "s", "--connect-to", "::h:1", URL], &["--unix-socket", "--connect-to"]),
            (&["--streams", "4", URL], &["HTTP/2", "--http2"]),
            (&["-connect-timeout", "5", URL], &["`5` has no unit"]),
            (&["-a", "user", URL], &["user:password"]),
            (&["-arrival", "uniform", URL], &["--rate"]),
            (&["--rate", "5", "-q", "5", URL], &["exclude each other"]),
            (&["--raw", "-", "-o", "hey", URL], &["--raw -", "-o"]),
            (&["--raw", "x", "--hlog", "x", URL], &["a file each"]),
            (&["--hlog", "-", URL], &["--hlog", "file"]),
            (
                &["--raw", "missing/raw.csv", URL],
                &["missing/raw.csv", "--raw", "a folder of its path is not there"],
            ),
            (&["--hlog", ".", URL], &["--hlog", "it is a folder"]),
            (&["report", "-o", "csv", "x.json"], &["no rows", "csv"]),
            (&["-n"], &["--requests"]),
            (&["run"], &["SCENARIO"]),
        ],
    );
}

#[test]
fn advice_names_only_what_help_shows() {
    let place = Place::new();
    let advice = |flag| place.run(&[flag, URL]).stderr;
    assert!(advice("--durations").contains("'--duration'"));
    assert!(!advice("--bogus").contains("'--o'"), "{}", advice("--bogus"));
}

#[test]
fn values() {
    let place = Place::new();
    assert_sentences(
        &place,
        &[
            (&["-c", "0", URL], &["'0'", "connections"]),
            (&["-n", "0", URL], &["'0'", "requests"]),
            (&["-n", "-5", URL], &["-5"]),
            (&["-n", "many", URL], &["'many'", "requests"]),
            (&["-z", "abc", URL], &["abc", "10s"]),
            (&["-z", "10", URL], &["`10`", "`10s`"]),
            (&["-z", "-1s", URL], &["-1"]),
            (&["-t", "soon", URL], &["soon", "timeout"]),
            (&["-o", "word", URL], &["'word'", "hey", "json", "csv"]),
            (&["--percentiles", "50,half", URL], &["`half`", "50,90,99.9"]),
            (&["--percentiles", "100", URL], &["`100`", "below 100"]),
            (&["--name", "a/b", URL], &["--name", "letters"]),
            (&["--tag", "version", URL], &["`version`", "version=1.4"]),
            (&["-m", "GE T", URL], &["`GE T`", "method"]),
            (&["-H", "nonsense", URL], &["`nonsense`", "Name: value"]),
            (&["-H", "na me: value", URL], &["na me", "header"]),
            (&["-H", "a: b\r\nc: d", URL], &["header"]),
            (&["-A", "a\nb", URL], &["header"]),
            (&["-D", "missing.txt", URL], &["missing.txt", "body", "there is no such file"]),
            (&["-D", ".", URL], &["body", "it is a folder"]),
            (&["--engine", "http2", URL], &["--engine http2", "--h2c"]),
            (&["--engine", "reqwest", "--streams", "2", "--h2c", URL], &["--engine reqwest and --streams"]),
            (&["--cacert", "nowhere.pem", TLS_URL], &["nowhere.pem", "there is no such file"]),
            (&["--cacert", "/dev/null", TLS_URL], &["/dev/null", "no certificate of an authority"]),
            (&["--cacert", ".", TLS_URL], &["it is a folder"]),
            (&["--cert", "nowhere.pem", TLS_URL], &["nowhere.pem", "there is no such file"]),
            (&["--key", "nowhere.pem", TLS_URL], &["--cert"]),
            (&["-k", "--cacert", "/dev/null", TLS_URL], &["exclude each other"]),
            (&["--sni", "not a name", TLS_URL], &["`not a name`", "--sni"]),
        ],
    );
}

#[test]
fn what_is_sent_and_expected() {
    let place = Place::new();
    place.file("paths.txt", "/a\n/b\n");
    place.file("bad.txt", "/a\nhttp://\n");
    place.file("method.txt", "/a\n\n{\"url\": \"/b\", \"method\": \"G T\"}\n");
    place.file("header.txt", "{\"url\": \"/b\", \"headers\": {\"A\": \"b\\r\\nc: d\"}}\n");
    place.file("empty.txt", "# nothing\n");
    place.file("away.txt", "/a\nhttp://127.0.0.1:9/\n");
    let names: Vec<_> = (0..101).map(|n| format!("{{\"url\":\"/\",\"name\":\"{n}\"}}")).collect();
    place.file("names.txt", &names.join("\n"));
    place.file("mix.toml", "[load]\nmix = \"away.txt\"\n");
    place.file("curl.toml", "[target]\ninstances = 2\n[load]\ncurl = \"curl http://127.0.0.1:9/\"\n");
    assert_sentences(
        &place,
        &[
            (&["--mix", "missing.txt", URL], &["missing.txt", "there is no such file"]),
            (&["--mix", "empty.txt", URL], &["empty.txt", "no request"]),
            (&["--mix", "paths.txt"], &["paths.txt, line 1", "`/a`", "URL"]),
            (&["--mix", "bad.txt", URL], &["bad.txt, line 2", "not a URL"]),
            (&["--mix", "method.txt", URL], &["method.txt, line 3", "`G T`"]),
            (&["--mix", "header.txt", URL], &["header.txt, line 1", "header"]),
            (&["--mix", "names.txt", URL], &["names.txt, line 101", "`100`", "100"]),
            (&["run", "mix.toml"], &["mix.toml", "paths only"]),
            (&["run", "curl.toml"], &["`instances`", "`url`"]),
            (&["--check", "status is 200", URL], &["`is 200`", "200..299"]),
            (&["--check", "body matches (", URL], &["unclosed group"]),
            (&["--count-header", "a b", URL], &["`a b`", "header field"]),
            (&["--count-header", "Set-Cookie", URL], &["`Set-Cookie`", "secret"]),
            (&["--warmup", "5", URL], &["`5`", "`5s`"]),
            (&["--curl", "wget x"], &["`wget`", "curl"]),
            (&["--curl", "curl http://h -F a=b"], &["-F", "leave it out"]),
            (&["--curl", "curl -s"], &["no URL"]),
            (&["--seed", "5", URL], &["--seed", "--rate"]),
        ],
    );
}

#[test]
fn more_connections_than_files() {
    let place = Place::new();
    let sentence = refused(&place, &["-z", "1s", "-c", "4000000000", URL]);
    assert!(sentence.contains("4000000000") && sentence.contains("ulimit -n"), "{sentence}");
}

#[test]
fn scenario_files() {
    let place = Place::new();
    place.file("path.toml", "[target]\npath = \"orders\"\n");
    place.file("both.toml", "[target]\nurl = \"http://127.0.0.1:9/\"\ninstances = 2\n");
    place.file(".toml", "");
    place.file("name.toml", "name = \"../up\"\n");
    place.file("good.toml", "");
    place.file("file", "");
    assert_sentences(
        &place,
        &[
            (&["run", "missing.toml"], &["missing.toml", "there is no such file"]),
            (&["run", "good.toml", "--repeats", "2", "-o", "csv"], &["one run", "makes 2", "--repeats 1"]),
            (&["run", "good.toml", "good.toml", "--raw", "raw.csv"], &["one run", "--raw"]),
            (&["run", "."], &["cannot read the scenario .", "it is a folder; name a file in it"]),
            (&["run", "/dev/zero"], &["cannot read the scenario /dev/zero", "name a file"]),
            (&["versus", ".", "."], &["cannot read the scenario .", "it is a folder"]),
            (&["capacity", ".", "--slo", "p99<1s"], &["cannot read the scenario .", "it is a folder"]),
            (&["run", "path.toml"], &["path.toml", "`orders`", "slash"]),
            (&["run", "both.toml"], &["both.toml", "`url`", "`instances`"]),
            (&["run", "name.toml"], &["name.toml", "`../up`"]),
            (&["run", "good.toml", "--machine", "../up"], &["--machine"]),
            (&["run", "good.toml", "--repeats", "0"], &["'0'", "repeats"]),
            (&["run", "good.toml", "--results", "file"], &["file", "no folder", "--results"]),
            (&["run", "good.toml", "--results", "file/below"], &["file/below", "--results"]),
            // The first one is good, and is not begun.
            (&["run", "good.toml", "missing.toml"], &["missing.toml"]),
            (&["plan", "missing.toml"], &["missing.toml"]),
        ],
    );
}

#[test]
fn a_port_in_use() {
    let place = Place::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    for instances in ["1", "2"] {
        let sentence = refused(&place, &["serve", "--listen", &address, "--instances", instances]);
        assert!(sentence.contains(&address) && sentence.contains("in use"), "{sentence}");
    }
}

#[test]
fn a_database_that_cannot_be_written() {
    let place = Place::new();
    place.file("file", "not a database, and long enough to be looked at as one: much longer than a header");
    for (path, sign) in [("file/x.db", "file"), ("missing/x.db", "missing"), ("file", "file"), (".", ".")] {
        let sentence = refused(&place, &["serve", "--listen", "127.0.0.1:0", "--database", path]);
        assert!(sentence.contains("database") && sentence.contains(sign), "{sentence}");
    }
}

#[test]
fn documents() {
    let place = Place::new();
    std::fs::create_dir(place.folder.path().join("empty")).unwrap();
    place.file("text", "not JSON");
    place.file("nothing.json", "");
    mknodat(CWD, place.folder.path().join("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    place.file("other.json", "{\"a\": 1}");
    place.file("newer.json", "{\"schema\": \"loadgen.run/99\"}");
    place.file("damaged.json", &format!("{{\"schema\": \"{}\"}}", report::document::RUN_SCHEMA));
    assert_sentences(
        &place,
        &[
            (&["compare", "missing"], &["missing", "there is no such file"]),
            (&["compare", "empty"], &["empty", "loadgen run"]),
            (&["compare", "text"], &["text", "JSON"]),
            (&["compare", "other.json"], &["other.json", "no document"]),
            (&["compare", "no*thing"], &["no*thing", "nothing fits"]),
            (&["compare", "empty", "--metrics", "rps,bogus"], &["`bogus`", "rps_per_cpu"]),
            (&["compare", "empty", "--tolerance", "p99"], &["p99=15%"]),
            (&["compare", "empty", "--rows", "scenario"], &["--columns"]),
            (&["compare", "empty", "-o", "bogus"], &["bogus"]),
            (&["compare", "newer.json"], &["newer.json", "loadgen.run/99"]),
            (&["report", "missing"], &["missing", "there is no such file"]),
            (&["report", "empty"], &["empty: is a folder", "`loadgen compare empty`"]),
            (&["merge", "empty"], &["empty: is a folder"]),
            (&["import", "empty"], &["empty: cannot be read: it is a folder"]),
            (&["report", "nothing.json"], &["nothing.json: is empty"]),
            (&["compare", "nothing.json"], &["nothing.json: is empty"]),
            (&["import", "nothing.json"], &["nothing.json: is empty"]),
            (&["report", "text/below"], &["text/below", "a part of its path is a file"]),
            (&["report", "pipe"], &["pipe: cannot be read", "name a file"]),
            (&["compare", "pipe"], &["pipe: cannot be read", "name a file"]),
            (&["import", "pipe"], &["pipe: cannot be read", "name a file"]),
            (&["report", "/dev/zero"], &["/dev/zero: cannot be read"]),
            (&["import", "/dev/zero"], &["/dev/zero: cannot be read"]),
            (&["report", "text"], &["text", "JSON"]),
            (&["report", "other.json"], &["other.json", "schema"]),
            (&["report", "newer.json"], &["newer.json", "loadgen.run/99"]),
            (&["report", "damaged.json"], &["damaged.json"]),
        ],
    );
    for words in [["compare", "missing"], ["report", "missing"], ["report", "text"]] {
        let sentence = refused(&place, &words);
        let causes = ["no such file", "line 1 column", "os error"].map(|sign| sentence.matches(sign).count());
        assert_eq!(causes.iter().sum::<usize>(), 1, "said twice: {sentence}");
    }
}
