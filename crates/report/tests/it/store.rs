use std::fs;
use std::path::{Path, PathBuf};

use report::document::{Document, Series, Usage};
use report::store::{self, StoreError};

use crate::sample::{FIXTURES, SECOND, fixture, fixture_path, good, of, run};

fn stored(run: report::document::Run) -> Document {
    Document::Run(Box::new(run))
}

#[test]
fn every_fixture_writes_the_bytes_it_was_read_from() {
    for (name, _) in FIXTURES {
        let text = fs::read_to_string(fixture_path(name)).unwrap();
        assert_eq!(store::to_json(&fixture(name)), text, "{name}");
    }
}

#[test]
fn written_and_read_back_it_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/folders/run.json");
    for (_, build) in FIXTURES {
        let document = stored(build());
        store::write(&path, &document).unwrap();
        assert_eq!(store::open(&path).unwrap(), document);
    }
    let left: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "no temporary file stays");
}

#[test]
fn a_failed_write_leaves_the_old_file_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.json");
    fs::create_dir(&path).unwrap();
    let error = store::write(&path, &stored(good())).unwrap_err();
    assert!(error.to_string().contains("run.json: cannot be written"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_link_keeps_pointing_and_a_device_stays_a_device() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("file.json"), folder.path().join("link.json"));
    fs::write(&file, "old").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    store::write(&link, &stored(good())).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(store::open(&file).unwrap(), stored(good()));

    // A link to the device, so that a mistake costs the link and not the device.
    let null = folder.path().join("null.json");
    std::os::unix::fs::symlink("/dev/null", &null).unwrap();
    store::write(&null, &stored(good())).unwrap();
    assert!(!fs::metadata(&null).unwrap().is_file());
}

#[test]
fn a_new_file_may_be_read_by_others() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let (ours, plain) = (folder.path().join("run.json"), folder.path().join("plain"));
    store::write(&ours, &stored(good())).unwrap();
    fs::write(&plain, "").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&ours), mode(&plain));
}

#[test]
fn an_hour_stays_under_200_kb() {
    let mut run = run("good");
    let points =
        |base: u64| (0..u64::try_from(Series::LIMIT).unwrap()).map(|i| base + i * 7919 % base).collect();
    run.series = Series {
        interval_ms: 1000,
        answered: points(31_541),
        unanswered: points(1),
        http_error: points(1),
        p50_us: points(26_300),
        p90_us: points(53_800),
        p99_us: points(113_400),
        max_us: points(1_353_300),
    };
    // A wide spread fills many buckets, in every distribution that a long run has.
    let wide = of((1..300_000u64).map(|i| i * i % (2 * SECOND) + 1));
    for latency in [&mut run.latencies.answered, &mut run.latencies.service, &mut run.latencies.wait] {
        latency.clone_from(&wide);
    }
    // Of 125 points at most, an hour takes those of 32 seconds each.
    assert_eq!(Usage::MOST_POINTS_IN_ALL / 8, 125);
    let column = |base: u64| (0..3600_u64.div_ceil(32)).map(|i| base + i * 7919 % base).collect();
    let usage = Usage {
        interval_ms: 32_000,
        watched_ns: 3600 * SECOND,
        cpu_user_ms: column(8_000),
        cpu_system_ms: column(5_000),
        rss_kib: column(400_000),
        threads: column(90),
        files: column(500),
        written_kib: column(90_000),
        ..Usage::default()
    };
    run.instances = vec![run.instances[0].clone(); 8];
    run.instances.iter_mut().for_each(|instance| instance.usage = Some(Box::new(usage.clone())));
    let text = store::to_json(&stored(run));
    assert!(text.len() < 200_000, "{} bytes, {} of them a histogram", text.len(), wide.histogram.len());
    assert!(text.lines().any(|line| line.trim_start().starts_with("\"p50_us\": [") && line.len() > 20_000));
}

#[test]
fn what_is_no_document_is_told_with_its_name_and_a_way_out() {
    let cases = [
        ("", "f.json: is not a whole JSON object"),
        ("{\"schema\": \"loadgen.run/1\",", "f.json: is not a whole JSON object"),
        ("[1]", "f.json: is not a whole JSON object"),
        ("{}", "f.json: has no `schema`, so it is no document of loadgen; name a file that loadgen wrote"),
        (
            r#"{"schema": "loadgen.run/2"}"#,
            "f.json: is a `loadgen.run/2`, and this loadgen reads up to `loadgen.run/1`; read it with the version that wrote it",
        ),
        (
            r#"{"schema": "other/1"}"#,
            "f.json: is a `other/1`, and this loadgen reads `loadgen.run/1` and `loadgen.figures/1`",
        ),
        (
            r#"{"schema": "loadgen.run/x"}"#,
            "f.json: is a `loadgen.run/x`, and this loadgen reads `loadgen.run/1` and `loadgen.figures/1`",
        ),
        (
            r#"{"schema": "loadgen.run/1"}"#,
            "f.json: says it is a `loadgen.run/1`, but it is not: missing field `id`",
        ),
    ];
    for (text, message) in cases {
        let error = store::parse(Path::new("f.json"), text).unwrap_err().to_string();
        assert!(error.starts_with(message), "{text}: {error}");
    }
}

#[test]
fn a_misspelt_field_is_told_with_its_line() {
    let text = store::to_json(&fixture("good")).replace("\"plan_key\"", "\"plan_kee\"");
    let error = store::parse(Path::new("f.json"), &text).unwrap_err().to_string();
    assert!(error.contains("unknown field `plan_kee`") && error.contains("at line "), "{error}");
}

#[test]
fn a_damaged_histogram_is_told_with_its_field() {
    let mut run = run("good");
    run.latencies.wait.count += 1;
    let error = store::parse(Path::new("f.json"), &store::to_json(&stored(run))).unwrap_err();
    assert!(matches!(error, StoreError::Histogram { ref name, .. } if name == "wait"));
    assert!(error.to_string().starts_with("f.json: `latencies.wait` is damaged: "), "{error}");
}

#[test]
fn a_missing_file_is_told() {
    let error = store::open(Path::new("no/such.json")).unwrap_err().to_string();
    assert!(error.starts_with("no/such.json: cannot be read: "), "{error}");
}

#[test]
fn what_holds_no_document_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let said = |path: &Path| {
        store::open(path).unwrap_err().to_string().replace(folder.path().to_str().unwrap(), "F")
    };
    let expected = "F: is a folder; name a file in it, or see all its documents with `loadgen compare F`";
    assert_eq!(said(folder.path()), expected);
    let file = folder.path().join("run.json");
    fs::write(&file, "\n").unwrap();
    assert_eq!(said(&file), "F/run.json: is empty; what was to write it did not come to its end");
    fs::write(&file, [0xff]).unwrap();
    assert_eq!(said(&file), "F/run.json: cannot be read: it is no text in UTF-8");
    fs::File::create(&file).unwrap().set_len(store::MOST_BYTES + 1).unwrap();
    assert_eq!(
        said(&file),
        "F/run.json: cannot be read: it is longer than 64 MiB, and so not what is wanted here"
    );
    let found = store::find(&[folder.path().to_owned()]).unwrap();
    assert_eq!((found.documents.len(), found.skipped.len()), (0, 1), "in a folder, others are left out");
}

fn names(folder: &Path, paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| path.strip_prefix(folder).unwrap().display().to_string()).collect()
}

#[test]
fn folders_are_searched_and_what_is_foreign_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["b/2.json", "b/deep/1.json", "a/3.json"] {
        store::write(&at(name), &fixture("good")).unwrap();
    }
    fs::write(at("b/package.json"), "{\"name\": \"x\"}").unwrap();
    fs::write(at("b/half.json"), "{\"schema\": \"loadgen.run/1\",").unwrap();
    fs::write(at("b/notes.txt"), "no").unwrap();
    fs::write(at("b/later.json"), "{\"schema\": \"loadgen.run/9\"}").unwrap();
    std::os::unix::fs::symlink(folder.path(), at("b/circle")).unwrap();

    let found = store::find(&[at("b"), at("a/3.json"), at("b/2.json"), at("b/deep/../2.json")]).unwrap();
    assert_eq!(
        names(folder.path(), &found.documents),
        ["a/3.json", "b/2.json", "b/deep/1.json", "b/later.json"]
    );
    assert_eq!(names(folder.path(), &found.skipped), ["b/half.json", "b/package.json"]);

    let error = store::find(&[at("b/package.json")]).unwrap_err();
    assert!(matches!(error, StoreError::NoSchema { .. }), "a named file must be a document: {error}");
    assert!(store::find(&[at("nothing")]).is_err());
}
