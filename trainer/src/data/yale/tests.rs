use super::*;

/// A PGM of 6 x 8 pixels of one level.
fn pgm(level: u8) -> Vec<u8> {
    let mut bytes = b"P5\n6 8\n255\n".to_vec();
    bytes.extend([level; 48]);
    bytes
}

/// A set with two lights for each subject, and what is to be left out.
fn set() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for subject in (1..=39).filter(|subject| *subject != 14) {
        let folder = root.path().join(format!("yaleB{subject:02}"));
        fs::create_dir(&folder).unwrap();
        let file = |rest: &str, content: &[u8]| {
            fs::write(folder.join(format!("yaleB{subject:02}_P00{rest}")), content).unwrap();
        };
        file("A+000E+00.pgm", &pgm(subject as u8));
        file("A-110E+65.pgm", &pgm(100 + subject as u8));
        file("A+050E-40.pgm.bad", b"not an image");
        file("_Ambient.pgm", b"not an image");
        file(".info", b"yaleB01_P00_Ambient.pgm");
        fs::write(folder.join("WS_FTP.LOG"), "").unwrap();
    }
    root
}

#[test]
fn names_say_who_and_where_the_light_is() {
    let label = |subject, azimuth, elevation| Label {
        subject,
        azimuth,
        elevation,
    };
    for (name, expected) in [
        ("yaleB01_P00A+000E+00.pgm", label(1, 0, 0)),
        ("yaleB39_P00A-130E+20.pgm", label(39, -130, 20)),
        ("yaleB05_P08A+010E-40.pgm", label(5, 10, -40)),
    ] {
        assert_eq!(Label::parse(name), Some(expected));
    }
    for name in [
        "",
        "yaleB01_P00_Ambient.pgm",
        "yaleB01_P00A+000E+00.pgm.bad",
        "yaleB1_P00A+000E+00.pgm",
        "yaleB01_P00A000E+00.pgm",
        "yaleB01_P00A+00E+00.pgm",
        "yaleB01_P00A+000E+000.pgm",
        "yaleB01_P00A+999E+00.pgm",
        "yaleB01_P00A+000E+91.pgm",
        "yaleB01_P00A+0-1E+00.pgm",
        "yaleB01_P00A\u{e9}000E+00.pgm",
        "yaleB+1_P00A+000E+00.pgm",
    ] {
        assert_eq!(Label::parse(name), None, "{name}");
    }
}

#[test]
fn a_set_is_read_in_the_order_of_its_names() {
    let root = set();
    let faces = load(root.path(), 4).unwrap();
    assert_eq!((faces.images.len(), faces.images.width), (76, 4));
    assert_eq!(faces.labels.subject[..4], [1, 1, 2, 2]);
    assert_eq!(faces.labels.azimuth[..2], [0.0, -110.0]);
    assert_eq!(faces.labels.elevation[..2], [0.0, 65.0]);
    assert_eq!(faces.images.samples[..32], [[1; 16], [101; 16]].concat());
    assert_eq!(faces.subset(&[3, 0]).samples[15..17], [102, 1]);
    // The folder above will do too.
    let above = tempfile::tempdir().unwrap();
    fs::rename(root.path(), above.path().join("CroppedYale")).unwrap();
    assert_eq!(load(above.path(), 4).unwrap().images.len(), 76);
}

#[test]
fn what_is_wrong_with_a_set_is_named() {
    let refusal = |spoil: &dyn Fn(&Path)| {
        let root = set();
        spoil(root.path());
        load(root.path(), 4).unwrap_err().to_string()
    };
    let file = |root: &Path| root.join("yaleB07").join("yaleB07_P00A+000E+00.pgm");
    let write = |content: &'static [u8]| refusal(&|root| fs::write(file(root), content).unwrap());
    let error = refusal(&|root| fs::remove_dir_all(root.join("yaleB07")).unwrap());
    assert!(error.contains("no folder yaleB07"), "{error}");
    let error = refusal(&|root| {
        for entry in fs::read_dir(root.join("yaleB07")).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
    });
    assert!(error.contains("yaleB07: has no image"), "{error}");
    let error = refusal(&|root| fs::rename(file(root), root.join("yaleB07/face.pgm")).unwrap());
    assert!(error.contains("face.pgm: its name does not say"), "{error}");
    let error = refusal(&|root| {
        fs::rename(file(root), root.join("yaleB07/yaleB08_P00A+000E+00.pgm")).unwrap();
    });
    assert!(error.contains("is of subject 08"), "{error}");
    for (content, words) in [
        (&b"P5\n6 8\n255\nshort"[..], "damaged"),
        (b"P5\n-6 8\n255\n", "damaged"),
        (b"P5\nwide 8\n255\n", "damaged"),
        (b"P5\n99999999 99999999\n255\n", "yaleB07_P00A+000E+00.pgm"),
        (b"P6\n1 1\n255\nabc", "colour"),
        (
            b"P5\n1 1\n255\na",
            "1 x 1 pixels, but those before it 6 x 8",
        ),
        (b"GIF89a", "yaleB07_P00A+000E+00.pgm"),
        (b"something else", "not an image"),
        (b"", "empty"),
    ] {
        let error = write(content);
        assert!(
            error.contains("yaleB07") && error.contains(words),
            "{error}"
        );
    }
    let empty = tempfile::tempdir().unwrap();
    let error = load(empty.path(), 4).unwrap_err().to_string();
    assert!(error.contains("CroppedYale"), "{error}");
    let error = load(&empty.path().join("none"), 4).unwrap_err().to_string();
    assert!(error.contains("cannot be read"), "{error}");
}
