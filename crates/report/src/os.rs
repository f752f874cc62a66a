//! Files that somebody named: read up to a limit, and what the system says of them in words that help.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// Why a file that somebody named gives no text. Each message is a clause without its name.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The system says no.
    #[error("{}", why(.0))]
    System(io::Error),
    /// Folders hold no text.
    #[error("it is a folder; name a file in it")]
    Folder,
    /// Nobody knows whether anything will ever come from it.
    #[error("it is a pipe with a name or a device, from which nothing may ever come; name a file")]
    NoFile,
    /// It has more bytes than anything that is wanted here.
    #[error("it is longer than {} MiB, and so not what is wanted here", .0 >> 20)]
    TooLong(u64),
    /// Its bytes are no text.
    #[error("it is no text in UTF-8")]
    NoText,
}

/// The text of a file that has so many bytes at most. What a shell hands over of another command (`<(COMMAND)`) counts as one.
///
/// # Errors
/// When it cannot be read, is no file, or is no text.
pub fn read_text(path: &Path, most: u64) -> Result<String, Unreadable> {
    let kind = fs::metadata(path).map_err(Unreadable::System)?;
    if kind.is_dir() {
        return Err(Unreadable::Folder);
    }
    // A pipe without a name has somebody who writes into it, and a path that leads nowhere.
    if !kind.is_file() && fs::canonicalize(path).is_ok() {
        return Err(Unreadable::NoFile);
    }
    text_of(File::open(path).map_err(Unreadable::System)?, most)
}

/// The same of what is open already.
///
/// # Errors
/// When it cannot be read, or is no text.
pub fn text_of(source: impl Read, most: u64) -> Result<String, Unreadable> {
    let mut bytes = Vec::new();
    source.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(Unreadable::System)?;
    if bytes.len() as u64 > most {
        return Err(Unreadable::TooLong(most));
    }
    String::from_utf8(bytes).map_err(|_| Unreadable::NoText)
}

/// What is wrong with a file that cannot be read, as a clause.
pub fn why(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        ErrorKind::PermissionDenied => "you may not read it".to_owned(),
        ErrorKind::IsADirectory => "it is a folder; name a file in it".to_owned(),
        ErrorKind::NotADirectory => "a part of its path is a file, and no folder".to_owned(),
        _ => words(error),
    }
}

/// What is wrong with a file that cannot be written, as a clause.
pub fn why_not_written(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "a folder of its path is not there".to_owned(),
        ErrorKind::PermissionDenied => "you may not write there".to_owned(),
        ErrorKind::IsADirectory => "it is a folder; name a file".to_owned(),
        ErrorKind::NotADirectory => "a part of its path is a file, and no folder".to_owned(),
        _ => words(error),
    }
}

/// The system's words without its number, and without the path that a library may have put behind them.
fn words(error: &io::Error) -> String {
    // An error of a temporary file names a path which a user never chose and which is gone.
    let text = if error.raw_os_error().is_none() && error.get_ref().is_some() {
        error.kind().to_string()
    } else {
        error.to_string()
    };
    text.split(" (os error ").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_told_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let said = |path: &Path| read_text(path, 4).unwrap_err().to_string();
        assert!(said(folder.path()).starts_with("it is a folder"));
        assert!(said(Path::new("/dev/zero")).contains("or a device"), "it would never end");
        let file = folder.path().join("file");
        assert_eq!(said(&file), "there is no such file or folder");
        assert_eq!(said(&file.join("below")), said(&file));
        fs::write(&file, "12345").unwrap();
        assert!(said(&file).starts_with("it is longer than 0 MiB"));
        assert_eq!(said(&file.join("below")), "a part of its path is a file, and no folder");
        fs::write(&file, [0xe4]).unwrap();
        assert_eq!(said(&file), "it is no text in UTF-8");
        fs::write(&file, "1234").unwrap();
        assert_eq!(read_text(&file, 4).unwrap(), "1234");
    }

    #[test]
    fn what_another_command_writes_can_be_read() {
        let (reader, mut writer) = io::pipe().unwrap();
        io::Write::write_all(&mut writer, b"text").unwrap();
        drop(writer);
        let number = std::os::fd::AsRawFd::as_raw_fd(&reader);
        let path = format!("/dev/fd/{number}");
        assert_eq!(read_text(Path::new(&path), 4).unwrap(), "text");
    }

    #[test]
    fn numbers_and_temporary_names_are_left_out() {
        assert_eq!(why(&io::Error::from_raw_os_error(24)), "Too many open files");
        let foreign = io::Error::new(ErrorKind::StorageFull, "at path /tmp/.x.partial");
        assert_eq!(why_not_written(&foreign), "no storage space");
    }
}
