//! Which nodes there are: those of the URL, and those that they tell of.

use super::nodes::control_of;
use quarry_client::cluster::NodeCluster;
use quarry_protocol::member::{Liveness, Member};

/// A node to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// `host:port` of its first shard.
    pub(super) address: String,
    /// `host:port` of its control plane.
    pub(super) control: String,
    /// What the nodes say of it.
    pub(super) member: Option<Member>,
}

/// Asks the nodes at `seeds` whom they know. `controls` names the control planes of the seeds, or is empty.
pub(super) async fn find(seeds: &[String], controls: &[String], cluster: &str) -> Vec<Known> {
    let cluster = NodeCluster::new(cluster.to_owned(), seeds.to_vec());
    let answers = cluster.survey().await;
    let members = cluster.members();
    // A node may be listed by another name than the one it tells others.
    let advertised = |address: &str| {
        let answer = answers.iter().find(|answer| answer.address == address);
        answer.and_then(|answer| answer.info.as_ref().ok()).map_or(address, |info| &info.advertise).to_owned()
    };
    let names: Vec<String> = seeds.iter().map(|seed| advertised(seed)).collect();
    let listed = seeds.iter().zip(&names).enumerate().map(|(i, (seed, name))| Known {
        address: seed.clone(),
        control: controls.get(i).cloned().unwrap_or_else(|| control_of(seed)),
        member: members.iter().find(|member| member.advertise == *name || member.advertise == *seed).cloned(),
    });
    let mut known: Vec<Known> = listed.collect();
    let further =
        members.iter().filter(|member| !names.contains(&member.advertise) && !seeds.contains(&member.advertise));
    known.extend(further.map(|member| {
        let told = Some(&member.control).filter(|control| !control.is_empty()).cloned();
        let control = told.unwrap_or_else(|| control_of(&member.advertise));
        Known { address: member.advertise.clone(), control, member: Some(member.clone()) }
    }));
    known
}

/// One word for how others see a node.
pub(super) const fn liveness(member: &Member) -> &'static str {
    match member.liveness {
        Liveness::Alive => "alive",
        Liveness::Suspect => "suspect",
        Liveness::Down => "down",
    }
}
