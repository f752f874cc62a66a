//! `loadgen import`: what another tool printed stands in the same table.

use report::document::Document;

use crate::helper::Place;

fn printed(name: &str) -> String {
    let path = format!("{}/../report/tests/fixtures/imports/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_report_becomes_a_row() {
    let place = Place::with("hey.txt", &printed("hey.txt"));
    let words = ["import", "hey.txt", "--name", "front", "--machine", "web-1", "--cpus", "4"];
    let more =
        ["--source", "a blog, 2024", "--config", "load.connections=20", "--config", "target.instances=2"];
    let imported = place.run(&[&words[..], &more].concat());
    assert_eq!((imported.code, imported.stderr.as_str()), (0, ""), "{imported:?}");
    place.file("hey.json", &imported.stdout);
    let document = report::store::open(&place.folder.path().join("hey.json")).unwrap();
    let Document::Figures(figures) = document else { panic!("{document:?}") };
    assert_eq!((figures.name.as_str(), figures.machine.cpus), ("front", Some(4)));
    assert_eq!(figures.config["load.connections"], "20");
    let compared = place.run(&["compare", "hey.json", "--metrics", "rps,p50"]);
    assert!(compared.code == 0 && compared.stdout.contains("5,695.6"), "{compared:?}");
    assert!(compared.stdout.contains("a blog, 2024, with hey"), "{compared:?}");
}

#[test]
fn what_is_no_report_is_refused() {
    let place = Place::with("text", "nothing of interest");
    place.file("bytes", "\u{0}");
    std::fs::write(place.folder.path().join("latin"), [0xe4, 0xf6]).unwrap();
    for (file, word) in [
        ("text", "is not the output of hey"),
        ("latin", "UTF-8"),
        ("missing", "there is no such file"),
        ("-", "stdin"),
    ] {
        let refused = place.run(&["import", file]);
        refused.assert_calm();
        assert!(refused.code == 2 && refused.stdout.is_empty(), "{refused:?}");
        assert!(refused.stderr.contains(word) && refused.stderr.lines().count() == 1, "{refused:?}");
    }
}
