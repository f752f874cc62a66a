//! What `--help` shows is read at a terminal, and its words are plain.

use crate::helper::Place;

/// What stands between backticks beside commands: words to be typed as they are.
const WORDS: [&str; 5] = ["-", "cost", "last", "last~1", "serve"];

/// The help of the program and of each command.
fn helps() -> Vec<(String, String)> {
    let place = Place::new();
    let help = |words: &[&str]| {
        let ended = place.run(&[words, &["--help"]].concat());
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{words:?}");
        (words.join(" "), ended.stdout)
    };
    let whole = help(&[]);
    let commands = whole.1.split("\nCommands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let commands = commands.lines().filter(|line| !line.starts_with("   "));
    let commands: Vec<&str> = commands.map(|line| line.split_whitespace().next().unwrap()).collect();
    assert!(commands.len() > 10 && commands.contains(&"capacity"), "{commands:?}");
    let each = commands.iter().filter(|name| **name != "help").map(|&name| help(&[name]));
    each.chain([help(&["scenarios", "show"]), whole.clone()]).collect()
}

#[test]
fn nothing_of_the_code_shines_through() {
    for (command, help) in helps() {
        let text = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for quoted in text.split('`').skip(1).step_by(2) {
            let is_typed = quoted.starts_with("loadgen ") || WORDS.contains(&quoted);
            assert!(is_typed, "{command}: `{quoted}` is quoted and nothing to be typed");
        }
        for sign in ["::", "[`", "](", "Self", "crate"] {
            assert!(!text.contains(sign), "{command}: {sign}");
        }
    }
}
