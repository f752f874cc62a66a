//! What stands in front of the target. That of most tests is our own server, which answers in the target's place; HAProxy itself is
//! tested where it is installed.

use report::document::{Ended as How, Run};
use rustix::process::Signal;

use crate::helper::{Place, Running, send_signal, until};
use crate::needs;

/// A scenario whose front is a server of ours that answers by itself.
fn place(store: &str, load: &str) -> Place {
    let program = env!("CARGO_BIN_EXE_loadgen");
    let script = r#"cp "$2" told; exec "$0" serve --listen="$1" --database="$3" --threads=2"#;
    Place::with(
        "test.toml",
        &format!(
            "[target]\ninstances = 2\nstore = \"{store}\"\n[target.front]\n\
             command = [\"sh\", \"-c\", '{script}', {program:?}, \"{{address}}\", \"{{config}}\", \"{{scratch}}/front.db\"]\n\
             config = \"at {{port}} {{braces}}\\nserver {{instance}} {{socket}} twice {{socket}}\\n{{socket.2}} in {{scratch}}\\n\"\n\
             version = [\"sh\", \"-c\", \"echo front 1.2\"]\n[load]\n{load}\n"
        ),
    )
}

/// The process id of the front, when it is loaded.
fn loaded(place: &Place, running: &mut Running) -> u32 {
    running.until("the load", |_| (place.database_bytes() > 400_000).then_some(()));
    let is_front = |pid: &u32| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&words).contains("front.db")
    };
    place.targets().into_iter().find(is_front).unwrap()
}

#[test]
fn it_is_loaded_in_the_place_of_the_instances_and_told_of_them() {
    let place = place("none", "requests = 300\nconnections = 6");
    let ended = place.replay().wait();
    assert_eq!(ended.code, 0, "{ended:?}");
    let run = place.document();
    assert_eq!((run.account.ok, run.account.errors()), (300, 0));
    let front = run.front.as_ref().unwrap();
    assert!(front.ended == "stopped" && front.cpu_ns.unwrap() > 0, "{front:?}");
    let usage = front.usage.as_ref().unwrap();
    assert!(usage.watched_ns > 0 && usage.rss_kib[0] > 0, "it is watched as the instances are: {usage:?}");
    assert!(ended.stdout.contains(", front 0."), "{}", ended.stdout);
    assert_eq!(run.versions["front"], "front 1.2");
    assert!(ended.stdout.contains("\nfront 1.2 in front of 2 instances\n"), "{}", ended.stdout);
    assert_eq!(run.instances.len(), 2);
    assert!(run.instances.iter().all(|one| one.answered == Some(0) && one.ended == "stopped"), "{run:?}");
    let told = std::fs::read_to_string(place.folder.path().join("told")).unwrap();
    let lines: Vec<_> = told.lines().collect();
    let [port, one, two, last] = &lines[..] else { panic!("{told}") };
    let port: Vec<_> = port.split(' ').collect();
    assert!(port[0] == "at" && port[1].parse::<u16>().is_ok() && port[2] == "{braces}", "{told}");
    let folder = last.split(" in ").nth(1).unwrap();
    assert!(folder.starts_with('/'), "{told}");
    assert_eq!(*one, format!("server 1 {folder}/socket-1 twice {folder}/socket-1"));
    assert_eq!(*two, format!("server 2 {folder}/socket-2 twice {folder}/socket-2"));
    assert_eq!(
        run.config["target.front.config"],
        "at {port} {braces} | server 1 {socket.1} twice {socket.1} | server 2 {socket.2} twice {socket.2} | {socket.2} in {scratch}"
    );
    place.assert_clean();
}

#[test]
fn a_run_whose_front_dies_has_lost_its_target() {
    let place = place("none", "duration = \"60s\"\nconnections = 8");
    let mut running = place.replay();
    let front = loaded(&place, &mut running);
    send_signal(front, Signal::KILL);
    let ended = running.wait();
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.stderr.contains("the front died during the run: signal 9"), "{}", ended.stderr);
    let run = place.document();
    assert_eq!(run.ended, How::TargetLost);
    assert!(run.front.as_ref().unwrap().ended.starts_with("died during the run"), "{:?}", run.front);
    assert!(run.instances.iter().all(|one| one.ended == "stopped"), "{:?}", run.instances);
    place.assert_clean();
}

#[test]
fn signals_leave_no_front() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::KILL, 137)] {
        // With a database of their own the instances are known by their command lines.
        let place = place("pool", "duration = \"60s\"\nconnections = 8");
        let mut running = place.replay();
        loaded(&place, &mut running);
        assert_eq!(place.targets().len(), 3);
        running.signal(signal);
        assert_eq!(running.wait().code, code);
        until("their end", || place.targets().is_empty().then_some(()));
        if signal == Signal::TERM {
            assert_eq!(place.document().ended, How::Sigterm);
            place.assert_clean();
        }
    }
}

#[test]
fn a_front_that_does_not_come_up_is_a_sentence_and_leaves_no_target() {
    for (front, complaint) in [
        (
            r#"command = ["sh", "-c", "echo no luck >&2; exit 7", "{address} {socket.1}"]"#,
            "loadgen: the front ended with exit code 7 before it was ready; it said:\nno luck",
        ),
        (
            r#"command = ["sh", "-c", "exec sleep 60", "{address} {socket.1}"]
               ready_timeout = "300ms""#,
            "the front was not ready within 300ms: GET / was not answered with a status below 500 (no connection: ",
        ),
        (
            r#"command = ["sh", "-c", "exec sleep 60", "{address} {socket.1}"]
               version = ["sh", "-c", "exit 4"]"#,
            "the command that tells the front's version ended with exit code 4; it printed nothing to stderr",
        ),
    ] {
        let place = Place::with("test.toml", &format!("[target.front]\n{front}\n"));
        place.assert_not_loaded(&place.replay().wait(), complaint);
    }
}

#[test]
fn a_missing_front_is_named_with_its_package_before_anything_is_started() {
    let text = loadgen::scenario::library::find("behind-haproxy").unwrap();
    let text = text.replace("command = [\"haproxy\"", "command = [\"no-haproxy\"");
    let started = "command = [\"sh\", \"-c\", \"touch started\", \"{socket}\"]\nsockets = \"unix\"";
    let place = Place::with("test.toml", &text.replace("profile = \"waitress\"", started));
    let ended = place.replay().wait();
    assert_eq!(ended.code, 3, "{ended:?}");
    let said = "the front could not be started: there is no program `no-haproxy` in PATH; install the package haproxy (apt install haproxy)\n";
    assert!(ended.stderr.ends_with(said), "{ended:?}");
    assert_eq!(place.names(), ["results", "test.toml"]);
    place.assert_clean();
}

#[test]
fn a_package_is_named_where_a_command_needs_what_is_missing() {
    let text = "[target]\ncommand = [\"sleep\", \"60\", \"{port}\"]\nversion = [\"env\", \"no-such-interpreter\"]\npackage = \"python3-venv\"\n";
    let place = Place::with("test.toml", text);
    let ended = place.replay().wait();
    assert_eq!(ended.code, 3, "{ended:?}");
    let said = "the command that tells the target's version ended with exit code 127: install the package python3-venv (apt install python3-venv)";
    assert!(ended.stderr.contains(said), "{ended:?}");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let front = "[target.front]\ncommand = [\"p\", \"{address}\", \"{socket.1}\"]\n";
    for (text, complaint) in [
        (
            format!("[target]\nurl = \"http://127.0.0.1:1/\"\n{front}"),
            "`front` is a setting of a target that is started",
        ),
        (
            format!("[target]\ncommand = [\"s\", \"{{port}}\"]\n{front}"),
            "behind a `front`, instances listen at unix sockets of their own: write `sockets = \"unix\"`",
        ),
        (format!("[target]\ninstances = 2\n{front}"), "the front is not told of instance 2"),
        (format!("{front}comand = []\n"), "`comand` is no key of [target.front]; did you mean `command`?"),
    ] {
        let ended = Place::with("s.toml", &text).run(&["run", "s.toml"]);
        assert_eq!(ended.code, 2, "{text}: {ended:?}");
        assert!(ended.stderr.contains(complaint), "{complaint}: {}", ended.stderr);
    }
}

/// Replays one of the library's scenarios with HAProxy; `None` where it is not installed.
fn with_haproxy(words: &[&str]) -> Option<(Place, Run)> {
    if !needs::has("haproxy", "haproxy") {
        return None;
    }
    let place = Place::new();
    let ended = place.run(&[&["run", "--results", "results", "--repeats", "1"], words].concat());
    assert_eq!(ended.code, 0, "{ended:?}");
    let run = place.document();
    assert!(run.versions["front"].starts_with("HAProxy version "), "{:?}", run.versions);
    assert_eq!(run.front.as_ref().unwrap().ended, "stopped");
    assert!(run.verification.as_ref().unwrap().holds(), "{:?}", run.verification);
    assert!(run.assertions.iter().all(|one| one.holds && !one.skipped), "{:?}", run.assertions);
    place.assert_clean();
    Some((place, run))
}

#[test]
fn haproxy_starves_nobody_where_the_server_alone_does() {
    // One instance takes 98 clients, and these are 120.
    let words = ["behind-haproxy", "-z", "3s", "-c", "120", "-t", "2s", "--instances", "1"];
    let Some((place, run)) = with_haproxy(&words) else { return };
    let found = report::store::find(&[place.folder.path().join("results")]).unwrap();
    let report = place.run(&["report", found.documents[0].to_str().unwrap()]).stdout;
    let said = report.replace("\n    ", " ");
    assert!(said.contains(", instances 1 (4)\n") && !said.contains("front.config"), "{said}");
    assert_eq!(run.account.errors(), 0);
    assert_eq!(run.verification.unwrap().rows, run.account.ok);
    assert_eq!(run.connections.never_answered, 0);
    let alone = Place::with("test.toml", "[target]\nprofile = \"waitress\"\n");
    let ended = alone.run(&["run", "test.toml", "--results", "results", "-z", "3s", "-c", "120", "-t", "2s"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(alone.document().account.timeout >= 22, "without it they are starved");
}

#[test]
fn haproxy_weighs_three_to_one() {
    let Some((_, run)) = with_haproxy(&["haproxy-weighted", "-z", "1s"]) else { return };
    let counted = &run.header_values.as_ref().unwrap().values;
    let parts = (counted["1"], counted["2"]);
    assert!(parts.0.abs_diff(3 * parts.1) <= 8, "{counted:?}");
}

#[test]
fn haproxy_limits_a_rate_by_itself() {
    let Some((_, run)) = with_haproxy(&["haproxy-rate-limited", "-z", "3s"]) else { return };
    assert_eq!(run.verification.unwrap().rows, run.status[&200]);
    assert!(run.status[&429] > 100, "{:?}", run.status);
}
