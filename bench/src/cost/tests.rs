use super::*;

fn bucket(name: &str, replicas: u32, bucket: Bucket) -> Tier {
    Tier {
        name: name.to_owned(),
        region: "somewhere".to_owned(),
        replicas,
        verified: true,
        note: String::new(),
        cross_zone_copies: 0,
        cross_zone_usd_per_gib: 0.0,
        bucket: Some(bucket),
        machine: None,
        sources: Vec::new(),
    }
}

const FREE: Bucket = Bucket {
    put_usd_per_1000: 0.0,
    upload_usd_per_gib: 0.0,
    upload_free_bytes_per_put: 0,
    storage_usd_per_gib_month: 0.0,
};

fn close(got: f64, wanted: f64) {
    assert!((got - wanted).abs() <= wanted.abs() * 1e-9, "got {got}, wanted {wanted}");
}

/// By hand: a GiB in chunks of 64 KiB is 16,384 PUTs, three times; 73 hours are a tenth of a month.
#[test]
fn requests_fees_and_storage_are_paid_for_every_replica() {
    let prices = Bucket { put_usd_per_1000: 0.001, upload_usd_per_gib: 0.01, storage_usd_per_gib_month: 0.1, ..FREE };
    let cost = bucket("a", 3, prices).cost(65_536.0, 73.0);
    close(cost.requests_usd, 3.0 * 16.384 * 0.001);
    close(cost.upload_usd, 3.0 * 0.01);
    close(cost.storage_usd, 3.0 * 0.01);
    close(cost.total_usd(), 0.049_152 + 0.03 + 0.03);
}

/// By hand: of a PUT of 1 MiB with 512 KiB free, half is charged; of one of 512 KiB nothing.
#[test]
fn what_is_free_of_each_request_is_not_charged() {
    let prices = Bucket { upload_usd_per_gib: 0.008, upload_free_bytes_per_put: 512 << 10, ..FREE };
    let tier = bucket("a", 1, prices);
    close(tier.cost(f64::from(1 << 20), 1.0).total_usd(), 0.004);
    close(tier.cost(f64::from(512 << 10), 1.0).total_usd(), 0.0);
}

/// By hand: 1000 GiB half full are 500; 1024 MiB/s half used are 1800 GiB an hour. Traffic is for two copies of three.
#[test]
fn a_machine_is_bound_by_what_it_holds_or_by_what_it_writes() {
    let machine =
        Machine { usd_per_hour: 1.8, storage_gib: 1000.0, fill: 0.5, write_mib_per_second: 1024.0, write_use: 0.5 };
    let tier = Tier {
        bucket: None,
        machine: Some(machine),
        cross_zone_copies: 2,
        cross_zone_usd_per_gib: 0.02,
        ..bucket("nodes", 3, FREE)
    };
    let held = tier.cost(4096.0, 10.0);
    close(held.machines_usd, 3.0 * 1.8 * 10.0 / 500.0);
    close(held.traffic_usd, 0.04);
    let written = tier.cost(4096.0, 0.01);
    close(written.machines_usd, 3.0 * 1.8 / 1800.0);
    assert_eq!(tier.cost(4096.0, 10.0), tier.cost(4_194_304.0, 10.0), "nodes do not charge by request");
}

/// By hand: PUTs of a GiB cost 2^30 / c x 1e-6 dollars; that is 0.008 at c = 134,217.728 bytes.
#[test]
fn tiers_break_even_where_their_curves_cross() {
    let requests = bucket("by request", 1, Bucket { put_usd_per_1000: 0.001, ..FREE });
    let bytes = bucket("by byte", 1, Bucket { upload_usd_per_gib: 0.008, ..FREE });
    let wanted = BreakEven {
        cheaper_when_small: "by byte".to_owned(),
        other: "by request".to_owned(),
        chunk_bytes: vec![134_218],
    };
    assert_eq!(break_even::break_even(&requests, &bytes, 1.0), wanted);
    assert_eq!(break_even::break_even(&bytes, &requests, 1.0), wanted, "whichever comes first");
}

/// What is free of each request bends a curve. By hand: requests cost 107.374 / c, which is 0.006 at c = 17,896; above 65,536 it is
/// 0.008 - 416.914 / c, which is 0.006 again at c = 208,457.
#[test]
fn tiers_can_cross_twice_or_never() {
    let bent = bucket(
        "bent",
        1,
        Bucket { put_usd_per_1000: 0.0001, upload_usd_per_gib: 0.008, upload_free_bytes_per_put: 1 << 16, ..FREE },
    );
    let flat = bucket("flat", 1, Bucket { upload_usd_per_gib: 0.006, ..FREE });
    let crossed = break_even::break_even(&flat, &bent, 1.0);
    assert_eq!((crossed.cheaper_when_small.as_str(), &crossed.chunk_bytes[..]), ("flat", &[17_896, 208_457][..]));
    let cheap = bucket("cheap", 1, FREE);
    let never = break_even::break_even(&bent, &cheap, 1.0);
    assert_eq!((never.cheaper_when_small.as_str(), never.chunk_bytes.len()), ("cheap", 0));
    assert!(break_even::break_even(&bent, &bent, 1.0).chunk_bytes.is_empty(), "equal costs do not cross");
}

#[test]
fn the_built_in_prices_are_dated_and_sourced() {
    let prices = Prices::built_in();
    assert_eq!(prices.looked_at.len(), "2026-01-01".len());
    for tier in &prices.tiers {
        assert!(
            !tier.sources.is_empty() && tier.sources.iter().all(|source| source.url.starts_with("https://")),
            "{tier:?}"
        );
        assert!(tier.sources.iter().all(|source| !source.dated.is_empty() && !source.says.is_empty()), "{tier:?}");
        assert!(!tier.note.is_empty(), "{tier:?}");
    }
    let report = CostReport::of(prices, RETENTION_HOURS);
    assert_eq!(report.break_evens.len(), 10, "every two of five tiers");
    let express = &report.curves[0].points;
    assert_eq!((express[0].chunk_bytes, express.last().unwrap().chunk_bytes), (CHUNK_BYTES_MIN, CHUNK_BYTES_MAX));
    // By hand for 64 KiB: 3 x (16.384 x 0.00113 + 0.0032 + 0.11 x 24 / 730).
    let at_64_kib = express.iter().find(|point| point.chunk_bytes == 65_536).unwrap();
    close(at_64_kib.usd_per_gib, 3.0 * (16.384 * 0.00113 + 0.0032 + 0.11 * 24.0 / 730.0));
}

#[test]
fn bad_prices_are_refused_by_name() {
    let good = include_str!("../../prices.toml");
    for (from, to, shown) in [
        ("quarry-prices/1", "quarry-prices/2", "quarry-prices/2"),
        ("put_usd_per_1000 = 0.00113", "put_usd_per_1000 = -1.0", "put_usd_per_1000 = -1"),
        ("put_usd_per_1000 = 0.00113", "put_usd_per_1000 = nan", "\"S3 Express, 3 zones\""),
        ("fill = 0.7", "fill = 0.0", "fill = 0"),
        ("fill = 0.7", "fill = 1.5", "at most 1"),
        ("storage_gib = 1746.0", "storage_gib = 0.0", "storage_gib = 0"),
        ("replicas = 3", "replicas = 0", "replicas = 0"),
        ("[tiers.machine]", "[tiers.engine]", "engine"),
        ("name = \"S3 Standard\"", "name = \"Azure Premium Blob\"", "two tiers"),
        ("looked_at", "looked", "looked"),
    ] {
        let changed = good.replacen(from, to, 1);
        assert_ne!(changed, good, "{from}");
        let why = Prices::parse(&changed).expect_err(to);
        assert!(why.contains(shown), "{to}: {why}");
    }
    let dir = tempfile::tempdir().unwrap();
    let why = Prices::read(&dir.path().join("mine.toml")).expect_err("nothing there").to_string();
    assert!(why.contains("mine.toml"), "{why}");
}
