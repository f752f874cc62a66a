//! Whatever happens to a run: no process is left, no half-written document, and what went wrong is said.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use report::document::Ended as How;
use rustix::process::Signal;

use crate::helper::{Ended, Place, send_signal, until};
use crate::needs;

const SCENARIO: &str =
    "[target]\ninstances = 2\n[load]\nduration = \"1s\"\nwarmup = \"300ms\"\nconnections = 4\n";

/// Nothing is left but whole documents.
fn assert_clean(place: &Place) {
    place.assert_clean();
    assert!(filed(place).iter().all(|path| is_document(path)), "{:?}", filed(place));
    assert_no_half_document(place);
}

/// The files of the scenario.
fn filed(place: &Place) -> Vec<PathBuf> {
    let folder = place.folder.path().join("results/here/test");
    fs::read_dir(&folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

fn is_document(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "json")
}

/// What is called like a document is one. What was to become one has a name that nobody takes for that.
fn assert_no_half_document(place: &Place) {
    for path in filed(place).iter().filter(|path| is_document(path)) {
        report::store::open(path).unwrap();
    }
}

#[test]
fn a_database_deleted_in_mid_run_is_a_loss() {
    let place = Place::with("test.toml", &SCENARIO.replace("\"1s\"", "\"2s\""));
    let mut running = place.replay();
    running.until("the load", |_| (place.database_bytes() > 400_000).then_some(()));
    let scratch = place.left_behind();
    let [folder] = &scratch[..] else { panic!("{scratch:?}") };
    for name in ["requests.db", "requests.db-wal", "requests.db-shm"] {
        fs::remove_file(place.scratch().join(folder).join(name)).unwrap();
    }
    let ended = running.wait();
    assert_eq!(ended.code, 1, "{ended:?}");
    ended.assert_calm();
    let said = ended.stdout.replace("\n    ", " ");
    assert!(said.contains("the target's database could not be checked: "), "{said}");
    assert!(said.contains("there is no database"), "{said}");
    let run = place.document();
    assert_eq!(run.ended, How::Completed);
    assert!(!run.verification.unwrap().holds());
    assert_clean(&place);
}

/// What came of a run for which there was little room.
struct Cramped {
    code: i32,
    said: String,
    /// Files that were left in that room, which nobody else sees.
    left: String,
}

/// The program in a mount namespace where `folder` is so small; `None` where that is not allowed.
fn with_little_room(place: &Place, folder: &str, size: &str, words: &[&str]) -> Option<Cramped> {
    const LEFT: &str = "\nleft in the folder:\n";
    let may = Command::new("unshare").args(["--user", "--map-root-user", "--mount", "true"]).status();
    if !may.is_ok_and(|status| status.success()) {
        needs::leave_out("user namespaces are not allowed here");
        return None;
    }
    let program = env!("CARGO_BIN_EXE_loadgen");
    let script = format!(
        "folder=$1 && mount -t tmpfs -o size=$0 none \"$folder\" && shift && \"$@\"; code=$?; \
         printf '{LEFT}'; find \"$folder\" ! -type d; exit $code"
    );
    let around = ["--user", "--map-root-user", "--mount", "sh", "-c", &script, size, folder, program];
    let output = place.command_of("unshare", &[&around[..], words].concat()).output().unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    let (said, left) = stdout.split_once(LEFT).unwrap_or_else(|| panic!("{stdout}{stderr}"));
    Some(Cramped {
        code: output.status.code().unwrap(),
        said: format!("{said}{stderr}"),
        left: left.to_owned(),
    })
}

#[test]
fn a_scratch_folder_without_room_is_told() {
    let place = Place::with("test.toml", SCENARIO);
    let words = ["run", "test.toml", "--results", "results", "--machine", "here"];
    let scratch = place.scratch();
    let cramped = with_little_room(&place, scratch.to_str().unwrap(), "1500k", &words);
    let Some(Cramped { code, said, left }) = cramped else { return };
    assert_eq!((code, left.as_str()), (0, ""), "what was answered well was kept: {said}");
    let said = said.replace("\n    ", " ");
    assert!(
        said.contains("\nnote: no room is left in ") && said.contains("set TMPDIR to a folder"),
        "{said}"
    );
    let run = place.document();
    assert!(run.account.http_error > 0 && run.verification.unwrap().holds(), "{:?}", run.account);
    assert_clean(&place);
}

#[test]
fn a_results_folder_without_room_leaves_no_half_document() {
    let place = Place::with("test.toml", "[target]\nstore = \"none\"\n[load]\nrequests = 500\n");
    fs::create_dir(place.folder.path().join("results")).unwrap();
    let words = ["run", "test.toml", "--results", "results", "--machine", "here"];
    let cramped = with_little_room(&place, "results", "8k", &words);
    let Some(Cramped { code, said, left }) = cramped else { return };
    assert_eq!((code, left.as_str()), (4, ""), "{said}");
    let why = "cannot be written: no storage space; make room there, or choose another place";
    assert!(said.contains(why) && said.contains("\n  [200]\t500 responses"), "{said}");
    assert_clean(&place);
}

#[test]
fn a_program_that_is_ended_as_it_writes_leaves_no_half_document() {
    let place = Place::with("test.toml", "[target]\nstore = \"none\"\n[load]\nrequests = 500\n");
    // Where a file may be no longer, the system ends whoever goes on writing: here after 2 or 4 KiB, by the shell's blocks.
    let script = "ulimit -c 0 && ulimit -f 4 && exec \"$0\" \"$@\"";
    let around = ["-c", script, env!("CARGO_BIN_EXE_loadgen")];
    let words = ["run", "test.toml", "--results", "results", "--machine", "here"];
    let output = place.command_of("sh", &[&around[..], &words].concat()).output().unwrap();
    assert_eq!(output.status.signal(), Some(Signal::XFSZ.as_raw()), "{output:?}");
    let filed = filed(&place);
    let [partial] = &filed[..] else { panic!("{filed:?}") };
    let length = partial.metadata().unwrap().len();
    assert!([2048, 4096].contains(&length), "{length} bytes were written");
    assert_no_half_document(&place);
}

#[test]
fn a_port_that_is_taken_is_a_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let (program, port) = (env!("CARGO_BIN_EXE_loadgen"), taken.local_addr().unwrap().port());
    let text = format!(
        "[target]\ncommand = [{program:?}, \"serve\", \"--listen=127.0.0.1:{port}\", \"--database={{scratch}}/x.db\"]\nenv = {{ X = \"{{port}}\" }}\n"
    );
    let place = Place::with("test.toml", &text);
    let ended = place.replay().wait();
    assert_eq!((ended.code, ended.stdout.as_str()), (3, ""), "{ended:?}");
    assert!(ended.stderr.contains(&format!("cannot listen on 127.0.0.1:{port}: ")), "{ended:?}");
    assert!(ended.stderr.to_lowercase().contains("address already in use"), "{ended:?}");
    assert_clean(&place);
}

/// One program that was sent a signal.
struct Signalled<'a> {
    place: &'a Place,
    /// When, after its start.
    delay_ms: u64,
    /// Whether it already listened to the signal.
    was_listening: bool,
    code: i32,
    stderr: &'a str,
}

/// Whether a process has a handler for a signal. One that has ended has none.
fn listens(pid: u32, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    caught.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).unwrap() >> (signal.as_raw() - 1) & 1 == 1)
}

/// Sends the signal after each of these delays, several at a time, and looks at what is left.
fn sweep(signal: Signal, step_ms: u64, last_ms: u64, look: impl Fn(&Signalled<'_>) + Sync) {
    const AT_ONCE: usize = 4;
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let delay_ms = next.fetch_add(step_ms, Ordering::Relaxed);
                    if delay_ms > last_ms {
                        break;
                    }
                    let place = Place::with("test.toml", SCENARIO);
                    let running = place.replay();
                    std::thread::sleep(Duration::from_millis(delay_ms));
                    let was_listening = listens(running.pid(), signal);
                    // Whoever has ended is not waited for yet, so the number is still its own.
                    send_signal(running.pid(), signal);
                    let Ended { code, stderr, .. } = running.wait();
                    look(&Signalled { place: &place, delay_ms, was_listening, code, stderr: &stderr });
                }
            });
        }
    });
}

#[test]
fn sigterm_at_any_moment_leaves_nothing_behind() {
    sweep(Signal::TERM, 50, 2000, |signalled| {
        let &Signalled { place, delay_ms: delay, was_listening, code, stderr } = signalled;
        assert!([0, 143].contains(&code), "{delay} ms: {code} {stderr}");
        let documents = place.documents_if_any();
        assert!(documents.len() <= 1, "{delay} ms");
        if code == 0 {
            assert_eq!(documents[0].ended, How::Completed, "{delay} ms: {stderr}");
        } else if documents.is_empty() {
            let is_early = !was_listening && stderr.is_empty();
            assert!(is_early || stderr.contains("nothing was measured"), "{delay} ms: {stderr}");
        }
        for run in &documents {
            assert!(run.verification.as_ref().unwrap().holds(), "{delay} ms: {:?}", run.verification);
        }
        for sign in ["panicked", "Error {", "Os {"] {
            assert!(!stderr.contains(sign), "{delay} ms: {stderr}");
        }
        assert_clean(place);
    });
}

#[test]
fn sigkill_at_any_moment_leaves_no_process_and_no_half_document() {
    sweep(Signal::KILL, 200, 2000, |&Signalled { place, .. }| {
        until("their end", || place.targets().is_empty().then_some(()));
        assert_no_half_document(place);
    });
}
