//! The page as a whole: self-contained, escaped, of bounded size, and never failing for what is missing or broken.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{fixture, write};

fn page(dir: &Path) -> String {
    fs::read_to_string(write(dir).unwrap()).unwrap()
}

fn run_folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fixture::write(dir.path(), &fixture::blob);
    dir
}

/// The values of `attribute` in the page.
fn values<'a>(page: &'a str, attribute: &str) -> Vec<&'a str> {
    let start = format!(" {attribute}=\"");
    page.split(&start).skip(1).map(|rest| rest.split('"').next().unwrap_or("")).collect()
}

#[track_caller]
fn check_sound(page: &str) {
    assert!(page.len() < 5_000_000, "{} bytes", page.len());
    let ids = values(page, "id");
    let unique: BTreeSet<_> = ids.iter().copied().collect();
    assert_eq!(ids.len(), unique.len(), "an id stands twice");
    for id in ids {
        assert!(id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{id}");
    }
    for id in values(page, "aria-labelledby").iter().flat_map(|v| v.split(' ')) {
        assert!(unique.contains(id), "aria-labelledby names {id}, which is not there");
    }
    for link in values(page, "href") {
        assert!(link.strip_prefix('#').is_some_and(|id| unique.contains(id)), "{link} leads nowhere");
    }
    for source in values(page, "src") {
        assert!(source.starts_with("data:image/png;base64,"), "{}", &source[..source.len().min(60)]);
    }
    let mut text = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for source in values(page, "src").into_iter().collect::<BTreeSet<_>>() {
        text = text.replace(source, "");
    }
    // The page's own script runs, by its hash, and no other.
    let script = format!("<script>{}</script>", super::sections::slider::SCRIPT);
    assert!(text.matches(&script).count() == 1 && text.contains("; script-src 'sha256-"), "its own script");
    text = text.replace(&script, "");
    for part in ["http://", "https://", "url(", "@import", "<script", "<link", "NaN", "inf "] {
        assert!(!text.contains(part), "the page holds {part}");
    }
}

#[test]
fn a_whole_run_is_one_sound_page() {
    let dir = run_folder();
    let page = page(dir.path());
    check_sound(&page);
    for expected in [
        "0.978",
        "[0.967, 0.989]",
        "embedded sample",
        "set so that about 5.0\u{a0}% of normal samples raise a false alarm, from 600 validation normals",
        "discriminator re-initialised at step 120",
        "<span>ganomaly-train</span> <span>--</span> <span>config.toml</span> <span>--seed</span> <span>0</span>",
        "Misses",
        "870\u{a0}MiB",
        "2\u{a0}min 08\u{a0}s",
    ] {
        assert!(page.contains(expected), "{expected} is not on the page");
    }
    assert!(page.matches("<img").count() > 80);
    assert_eq!(page.matches("class=\"missing\"").count(), 0);
}

#[test]
fn what_files_say_is_text() {
    let dir = run_folder();
    let page = page(dir.path());
    assert!(
        page.contains("&lt;script&gt;alert(&quot;id&quot;)&lt;/script&gt;&amp;"),
        "the hostile id is not shown"
    );
    assert!(page.contains("digit 2 abnormal &lt;b&gt;"));
    let log = r#"{"event":"epoch","phase":"a\"><script>","epoch":1,"losses":{"</svg><script>":1.0,"_svg  script ":2.0}}"#;
    fs::write(dir.path().join("log.jsonl"), log).unwrap();
    check_sound(&self::page(dir.path()));
}

#[test]
fn charts_are_files_of_their_own() {
    let dir = run_folder();
    write(dir.path()).unwrap();
    let mut names = Vec::new();
    for file in fs::read_dir(dir.path().join("pictures")).unwrap() {
        let path = file.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("<?xml") && text.contains("<style>") && text.trim_end().ends_with("</svg>"));
        assert!(
            text.contains("<title id=") && text.contains("<desc id=") && !text.contains("NaN"),
            "{path:?}"
        );
        names.push(path.file_name().unwrap().to_string_lossy().into_owned());
    }
    for name in [
        "roc.svg",
        "precision-recall.svg",
        "scores.svg",
        "distributions.svg",
        "promise.svg",
        "watched-gan.svg",
    ] {
        assert!(names.iter().any(|n| n == name), "{name} is not among {names:?}");
    }
    assert_eq!(names.len(), 6 + 2 + 5);
}

#[test]
fn each_file_may_be_missing_or_broken() {
    for file in fixture::FILES {
        let dir = run_folder();
        fs::remove_file(dir.path().join(file)).unwrap();
        let without = page(dir.path());
        check_sound(&without);
        let named =
            without.contains(&format!("{file} is not in the run folder")) || file == "calibration.json";
        assert!(named || file == "data.json" && without.contains("not recorded"), "{file}");
        for broken in [&b""[..], b"{\"auroc\": \"high\", ", b"\xff\xfe\x00[[", b"[1, 2]", b"a,b\n1,2\n"] {
            fs::write(dir.path().join(file), broken).unwrap();
            check_sound(&page(dir.path()));
        }
    }
}

#[test]
fn an_empty_folder_has_a_page_too() {
    let dir = tempfile::tempdir().unwrap();
    let page = page(dir.path());
    check_sound(&page);
    assert!(page.contains("metrics.json is not in the run folder."));
    assert!(write(&dir.path().join("nowhere")).unwrap_err().to_string().contains("expected a run folder"));
}

#[test]
fn one_class_or_none_is_said() {
    let dir = run_folder();
    let path = dir.path().join("scores.csv");
    let all = fs::read_to_string(&path).unwrap();
    let no_abnormal: Vec<_> = all.lines().filter(|line| !line.contains(",2,abnormal,")).collect();
    fs::write(&path, no_abnormal.join("\n")).unwrap();
    fs::write(
        dir.path().join("metrics.json"),
        r#"{"auroc": null, "auprc": null, "f1": null, "n_test": 1800}"#,
    )
    .unwrap();
    let page = page(dir.path());
    check_sound(&page);
    assert!(page.contains("need test samples of both labels"));
    fs::write(
        &path,
        "id,set,class,label,score,p_value,decision\na,test,,,0.5,0.2,normal\nb,test,,,0.9,0.01,abnormal\n",
    )
    .unwrap();
    let page = self::page(dir.path());
    check_sound(&page);
    assert!(page.contains("1 of 2 samples were called abnormal"), "{page}");
}

#[test]
fn writing_twice_gives_the_same_bytes() {
    let dir = run_folder();
    assert_eq!(page(dir.path()), page(dir.path()));
}

#[test]
fn rows_show_the_columns_that_add_the_most() {
    use crate::pictures::{Contribution, Item, Strip, write_gallery};
    let dir = run_folder();
    let contributions =
        vec![Contribution { column: "amount <b>".into(), value: 930.5, usual: 22.0, share: 0.87 }];
    let item = Item {
        id: "17".into(),
        caption: "fraud: abnormal, flagged".into(),
        score: 1.0,
        images: Vec::new(),
        contributions,
    };
    write_gallery(
        dir.path(),
        &[Strip { title: "Most abnormal".into(), note: String::new(), items: vec![item] }],
    )
    .unwrap();
    let page = page(dir.path());
    check_sound(&page);
    for expected in
        ["amount &lt;b&gt;", "--share: 87.0%", ">930<", ">22<", "median of the validation normals"]
    {
        assert!(page.contains(expected), "{expected}");
    }
}

#[test]
fn large_pictures_are_left_out_before_the_page_grows_too_large() {
    use crate::pictures::{Colours, Item, Picture, Strip, write_gallery};
    let dir = run_folder();
    let mut rng = flicker_core::Rng::new(3);
    let item = |i: usize| Item {
        id: format!("large/{i}"),
        caption: String::new(),
        score: 1.0,
        contributions: Vec::new(),
        images: vec![(
            "input".into(),
            Picture::new((3, 256, 256), rng.uniforms(3 * 256 * 256, 0.0, 1.0), Colours::Plain).unwrap(),
        )],
    };
    let items = (0..45).map(item).collect();
    write_gallery(dir.path(), &[Strip { title: "Large".into(), note: String::new(), items }]).unwrap();
    let page = page(dir.path());
    check_sound(&page);
    assert!(page.contains("see gallery/0-44-0.png"));
}

/// `FLICKER_LOOK=folder FLICKER_LOOK_DIGITS=t10k-images-idx3-ubyte cargo test -p flicker-runner look`: the fixture with real
/// digits, to be opened in a browser; `FLICKER_LOOK_RUN=folder` alone: the page of a run that is there already.
#[test]
fn a_page_to_look_at() {
    if let Some(folder) = std::env::var_os("FLICKER_LOOK_RUN") {
        check_sound(&page(Path::new(&folder)));
    }
    let Some(folder) = std::env::var_os("FLICKER_LOOK") else { return };
    let bytes = std::env::var_os("FLICKER_LOOK_DIGITS").map(|path| fs::read(path).unwrap());
    let digit = |i: usize| match &bytes {
        Some(bytes) => bytes[16 + 784 * i..][..784].iter().map(|&b| f32::from(b) / 255.0).collect(),
        None => fixture::blob(i),
    };
    fs::create_dir_all(&folder).unwrap();
    fixture::write(Path::new(&folder), &digit);
    check_sound(&page(Path::new(&folder)));
}
