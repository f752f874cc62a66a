//! What the README tells people to type works.

use std::fs;
use std::path::{Path, PathBuf};

use crate::helper::Place;
use crate::needs;

/// Long enough for an answer, short enough for a test.
const SHORT: &str = "300ms";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The commands of the README's console blocks, in order.
fn commands() -> Vec<String> {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let blocks = readme.split("```console\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let commands: Vec<_> =
        blocks.flat_map(str::lines).filter_map(|line| line.strip_prefix("$ ")).map(str::to_owned).collect();
    assert!(commands.len() >= 6, "{commands:?}");
    commands
}

/// A place that looks like a checkout to the program.
fn checkout() -> Place {
    let place = Place::new();
    for folder in ["scenarios", "results/reference"] {
        let (from, to) = (root().join(folder), place.folder.path().join(folder));
        fs::create_dir_all(&to).unwrap();
        for file in fs::read_dir(from).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
    place
}

#[test]
fn its_commands_do_what_they_say() {
    let place = checkout();
    // The target is left running, as the README leaves it; on a port that is free here.
    let server_place = Place::new();
    let mut server = None;
    let mut address = String::new();
    for command in commands() {
        if command.starts_with("scripts/") {
            if needs::has("python3", "python3") {
                knows_its_options(&command);
            }
            continue;
        }
        let Some(words) = command.strip_prefix("cargo run --release -- ") else {
            assert_eq!(command, "cargo test --workspace", "a command that this test does not know");
            let ci = fs::read_to_string(root().join(".ci/run")).unwrap();
            assert!(ci.contains(&command), "CI runs the README's test command");
            continue;
        };
        if let Some(words) = words.strip_suffix(" &") {
            let words: Vec<_> = words.split(' ').chain(["--listen", "127.0.0.1:0"]).collect();
            let mut running = server_place.start(&words);
            address = running.until("the target listens", |running| {
                let said = running.stdout();
                let url = said.split_whitespace().find(|word| word.starts_with("http://"))?;
                said.ends_with('\n').then(|| url.to_owned())
            });
            server = Some(running);
            continue;
        }
        let words =
            words.replace("http://127.0.0.1:8080/", &address).replace("10s", SHORT).replace("5s", SHORT);
        let mut words: Vec<_> = words.split(' ').collect();
        if words[0] == "run" {
            // Starved connections would be waited for as long as their timeout.
            words.extend(["--drain", SHORT]);
            if !words.contains(&"--duration") {
                words.extend(["--duration", SHORT]);
            }
        }
        let ended = place.run(&words);
        ended.assert_calm();
        assert_eq!(ended.code, 0, "{words:?}: {ended:?}");
        assert!(!ended.stdout.is_empty(), "{words:?}");
    }
    assert!(server.is_some());
    fs::remove_dir_all(place.folder.path().join("results/reference")).unwrap();
    let mut names: Vec<_> = place.documents().into_iter().map(|run| run.name).collect();
    names.sort();
    assert_eq!(names, ["1-instance", "4-instances", "8-instances", "quick"]);
}

/// A script needs other programs and a quiet machine to run; its help tells at least whether it takes what the README types.
fn knows_its_options(command: &str) {
    let mut words = command.split(' ');
    let script = root().join(words.next().unwrap());
    let output = std::process::Command::new(script).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{command}");
    for option in words.filter(|word| word.starts_with("--")) {
        assert!(help.contains(option), "{command}: {option} is not in its help");
    }
}

#[test]
fn every_path_it_names_is_there() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let quoted = readme.split('`').skip(1).step_by(2).filter(|text| !text.contains(' '));
    for path in quoted {
        let extension = Path::new(path).extension();
        if !extension.is_some_and(|extension| extension == "toml" || extension == "md") {
            continue;
        }
        let found = [root().join(path), root().join("scenarios").join(path)].iter().any(|path| path.exists());
        assert!(found, "{path}");
    }
}

#[test]
fn the_table_of_the_results_is_what_their_documents_say() {
    let script = root().join("scripts/results-table");
    let output = std::process::Command::new(script)
        .args(["--check", env!("CARGO_BIN_EXE_loadgen")])
        .env_remove("COLUMNS")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
