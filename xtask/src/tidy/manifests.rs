//! Manifests that a registry and its readers would be content with.

use std::path::Path;

use crate::metadata::{Package, Workspace};

pub(super) fn check(workspace: &Workspace) -> Vec<String> {
    let mut broken: Vec<String> = workspace.packages.iter().flat_map(fields).collect();
    for package in &workspace.packages {
        let folder = Path::new(&package.folder);
        if package.publishable && !folder.join("README.md").is_file() {
            broken.push(format!("{}: no README.md", package.name));
        }
        // `cargo metadata` does not tell about lints.
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        if !takes_the_workspace_lints(&manifest) {
            broken.push(format!("{}: does not take the workspace's lints", package.name));
        }
    }
    broken
}

fn takes_the_workspace_lints(manifest: &str) -> bool {
    let mut lines = manifest.lines().skip_while(|line| line.trim() != "[lints]").skip(1);
    lines.next().is_some_and(|line| line.replace(' ', "") == "workspace=true")
}

fn fields(package: &Package) -> Vec<String> {
    let mut broken = Vec::new();
    let mut require = |fine: bool, what: &str| {
        if !fine {
            broken.push(format!("{}: {what}", package.name));
        }
    };
    let description = package.description.as_deref().unwrap_or_default();
    require(!description.is_empty() && !description.contains("TODO"), "no description");
    require(package.license.as_deref() == Some("MIT OR Apache-2.0"), "the licence is not MIT OR Apache-2.0");
    require(package.rust_version.is_some(), "no rust-version");
    if package.publishable {
        require(package.repository.is_some(), "no repository");
        require(package.readme.as_deref() == Some("README.md"), "the readme is not README.md");
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete() -> Package {
        Package {
            name: "p".into(),
            description: Some("What it is".into()),
            license: Some("MIT OR Apache-2.0".into()),
            repository: Some("https://example.invalid".into()),
            readme: Some("README.md".into()),
            rust_version: Some("1.95".into()),
            publishable: true,
            ..Package::default()
        }
    }

    #[test]
    fn a_complete_manifest_passes() {
        assert_eq!(fields(&complete()), Vec::<String>::new());
    }

    #[test]
    fn each_missing_field_is_named() {
        let lacking = [
            Package { description: None, ..complete() },
            Package { description: Some("TODO".into()), ..complete() },
            Package { license: Some("MIT".into()), ..complete() },
            Package { repository: None, ..complete() },
            Package { readme: None, ..complete() },
            Package { rust_version: None, ..complete() },
        ];
        for package in lacking {
            assert_eq!(fields(&package).len(), 1, "{package:?}");
        }
    }

    #[test]
    fn what_is_not_published_needs_no_readme() {
        assert!(
            fields(&Package { publishable: false, readme: None, repository: None, ..complete() }).is_empty()
        );
    }

    #[test]
    fn lints_come_from_the_workspace() {
        assert!(takes_the_workspace_lints("[package]\n\n[lints]\nworkspace = true\n"));
        assert!(!takes_the_workspace_lints("[package]\n"));
        assert!(!takes_the_workspace_lints("[lints]\nworkspace = false\n"));
    }
}
