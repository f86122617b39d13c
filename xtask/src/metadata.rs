//! What `cargo metadata` says about the workspace.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::cargo::cargo;
use crate::command;

/// One crate of the workspace.
#[derive(Debug, Clone, Default)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) license: Option<String>,
    pub(crate) repository: Option<String>,
    pub(crate) readme: Option<String>,
    pub(crate) rust_version: Option<String>,
    /// The crate's folder.
    pub(crate) folder: String,
    /// `false` for crates with `publish = false`.
    pub(crate) publishable: bool,
    /// Feature name to what it turns on.
    pub(crate) features: BTreeMap<String, Vec<String>>,
    /// Names of crates it depends on in normal builds and in build scripts.
    pub(crate) dependencies: BTreeSet<String>,
    /// Names of crates only its tests, examples and benchmarks depend on.
    pub(crate) dev_dependencies: BTreeSet<String>,
    /// Whether a library is among its targets.
    pub(crate) has_library: bool,
}

/// The workspace.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) packages: Vec<Package>,
    metadata: Value,
}

impl Workspace {
    pub(crate) fn load() -> Result<Self> {
        let text = command::output(&mut cargo(["metadata", "--format-version", "1", "--all-features"]))?;
        Self::from_json(&text)
    }

    fn from_json(text: &str) -> Result<Self> {
        let metadata: Value = serde_json::from_str(text).context("cargo metadata is no JSON")?;
        let members: BTreeSet<&str> = strings(&metadata["workspace_members"]).collect();
        let packages = array(&metadata["packages"])
            .iter()
            .filter(|package| package["id"].as_str().is_some_and(|id| members.contains(id)))
            .map(package)
            .collect();
        Ok(Self { packages, metadata })
    }

    /// The crate of this name.
    pub(crate) fn package(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name)
    }

    /// Every crate that a normal build of `name` with all features compiles, itself excluded.
    pub(crate) fn closure(&self, name: &str) -> BTreeSet<String> {
        let nodes: BTreeMap<&str, &Value> = array(&self.metadata["resolve"]["nodes"])
            .iter()
            .filter_map(|node| Some((node["id"].as_str()?, node)))
            .collect();
        let names: BTreeMap<&str, &str> = array(&self.metadata["packages"])
            .iter()
            .filter_map(|package| Some((package["id"].as_str()?, package["name"].as_str()?)))
            .collect();
        let members: BTreeSet<&str> = strings(&self.metadata["workspace_members"]).collect();
        let root = members.into_iter().find(|id| names.get(id) == Some(&name));
        let mut open: Vec<&str> = root.into_iter().collect();
        let mut seen: BTreeSet<&str> = open.iter().copied().collect();
        while let Some(id) = open.pop() {
            let dependencies = nodes.get(id).map_or(&[][..], |node| array(&node["deps"]));
            for dependency in dependencies.iter().filter(|dependency| is_normal(dependency)) {
                if let Some(id) = dependency["pkg"].as_str().filter(|id| !seen.contains(id)) {
                    seen.insert(id);
                    open.push(id);
                }
            }
        }
        seen.into_iter()
            .filter(|id| Some(*id) != root)
            .filter_map(|id| names.get(id))
            .map(|name| (*name).into())
            .collect()
    }
}

fn is_normal(dependency: &Value) -> bool {
    array(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null())
}

fn package(value: &Value) -> Package {
    let text = |key: &str| value[key].as_str().map(str::to_owned);
    let dependencies = |dev: bool| {
        array(&value["dependencies"])
            .iter()
            .filter(|dependency| (dependency["kind"].as_str() == Some("dev")) == dev)
            .filter_map(|dependency| dependency["name"].as_str().map(str::to_owned))
            .collect()
    };
    let features = value["features"].as_object().into_iter().flatten();
    let manifest = value["manifest_path"].as_str().unwrap_or_default();
    Package {
        name: text("name").unwrap_or_default(),
        description: text("description"),
        license: text("license"),
        repository: text("repository"),
        readme: text("readme"),
        rust_version: text("rust_version"),
        folder: manifest.trim_end_matches("Cargo.toml").trim_end_matches('/').to_owned(),
        // Absent or null means everywhere, an empty list means nowhere.
        publishable: value["publish"].as_array().is_none_or(|registries| !registries.is_empty()),
        features: features
            .map(|(name, on)| (name.clone(), strings(on).map(str::to_owned).collect()))
            .collect(),
        dependencies: dependencies(false),
        dev_dependencies: dependencies(true),
        has_library: array(&value["targets"])
            .iter()
            .any(|target| strings(&target["kind"]).any(|kind| kind == "lib")),
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    array(value).iter().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = r#"{
        "workspace_members": ["a-id", "b-id"],
        "packages": [
            {"id": "a-id", "name": "a", "publish": [], "manifest_path": "/x/a/Cargo.toml", "targets": [{"kind": ["bin"]}],
             "dependencies": [{"name": "b", "kind": null}, {"name": "t", "kind": "dev"}], "features": {"f": ["dep:b"]}},
            {"id": "b-id", "name": "b", "publish": null, "manifest_path": "/x/b/Cargo.toml", "targets": [{"kind": ["lib"]}],
             "dependencies": [{"name": "c", "kind": null}], "features": {}},
            {"id": "c-id", "name": "c"}, {"id": "t-id", "name": "t"}
        ],
        "resolve": {"nodes": [
            {"id": "a-id", "deps": [{"pkg": "b-id", "dep_kinds": [{"kind": null}]}, {"pkg": "t-id", "dep_kinds": [{"kind": "dev"}]}]},
            {"id": "b-id", "deps": [{"pkg": "c-id", "dep_kinds": [{"kind": null}]}]},
            {"id": "c-id", "deps": []}, {"id": "t-id", "deps": []}
        ]}
    }"#;

    #[test]
    fn reads_the_members_and_tells_kinds_of_dependencies_apart() {
        let workspace = Workspace::from_json(METADATA).unwrap();
        let a = workspace.package("a").unwrap();
        assert_eq!(a.dependencies, BTreeSet::from(["b".to_owned()]));
        assert_eq!(a.dev_dependencies, BTreeSet::from(["t".to_owned()]));
        assert_eq!(a.features["f"], ["dep:b"]);
        assert_eq!(a.folder, "/x/a");
        assert!(!a.publishable && !a.has_library);
        let b = workspace.package("b").unwrap();
        assert!(b.publishable && b.has_library);
        assert!(workspace.package("c").is_none());
    }

    #[test]
    fn the_closure_follows_normal_dependencies_only() {
        let workspace = Workspace::from_json(METADATA).unwrap();
        assert_eq!(workspace.closure("a"), BTreeSet::from(["b".to_owned(), "c".to_owned()]));
        assert!(workspace.closure("c").is_empty());
    }
}
