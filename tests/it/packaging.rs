//! What a program takes with it that depends on this library.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The packages of a program whose only dependency is ringmill: those in its Cargo.lock, and those that are built for this
/// system. Cargo decides it without network: all that this can need was there when this test was built.
fn packages(program: &str, ringmill: &str) -> (Vec<String>, Vec<String>) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(program);
    fs::create_dir_all(folder.join("src")).unwrap();
    fs::write(folder.join("src/lib.rs"), "").unwrap();
    let lock: PathBuf = folder.join("Cargo.lock");
    if lock.exists() {
        fs::remove_file(&lock).unwrap();
    }
    let manifest = format!(
        "[package]\nname = \"{program}\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n\
         ringmill = {{ path = '{}'{ringmill} }}\n",
        env!("CARGO_MANIFEST_DIR")
    );
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    let cargo = |args: &[&str]| {
        let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(args)
            .current_dir(&folder)
            .output()
            .expect("cargo");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    cargo(&["generate-lockfile", "--offline"]);
    let lock = fs::read_to_string(lock).unwrap();
    let names = lock.lines().filter_map(|line| line.strip_prefix("name = "));
    let locked = names.map(|name| name.trim_matches('"').to_string());
    let tree = cargo(&["tree", "--offline", "--prefix", "none", "--no-dedupe"]);
    let lines = tree.lines().filter_map(|line| line.split(' ').next());
    let mut built: Vec<_> = lines.map(str::to_string).collect();
    built.sort();
    built.dedup();
    (locked.collect(), built)
}

#[test]
fn a_program_with_ringmill_alone_has_few_packages() {
    let (locked, built) = packages("alone", "");
    assert!(built.contains(&"ringmill".to_string()), "{built:?}");
    // Itself, ringmill, and what these need; in the lock file also what core_affinity needs on other systems.
    assert!(built.len() <= 6, "{built:?}");
    assert!(locked.len() <= 10, "{locked:?}");
    for optional in ["loom", "hdrhistogram"] {
        assert!(!locked.contains(&optional.to_string()), "{locked:?}");
    }
}

#[test]
fn a_feature_adds_only_its_own_package() {
    let (with, _) = packages("with_hdr", ", features = ['hdr']");
    assert!(with.contains(&"hdrhistogram".to_string()), "{with:?}");
    assert!(!with.contains(&"loom".to_string()), "{with:?}");
}
