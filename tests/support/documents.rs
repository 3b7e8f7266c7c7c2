//! Configurations that are right by construction.

use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

/// In the password of the proxy, in the wait handle and in the registry's credentials.
pub const CANARY: &str = "hunter2canary";

/// A mapping of those keys that have a value.
fn mapping<const N: usize>(entries: [(&str, Option<Value>); N]) -> Value {
    entries
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn span() -> impl Strategy<Value = Value> {
    (1..600_u32, select(vec!["s", "m"])).prop_map(|(number, unit)| format!("{number}{unit}").into())
}

fn path() -> impl Strategy<Value = String> {
    "(/[a-zA-Z0-9_.-]*[a-zA-Z0-9_ %é-]*[a-z]){1,3}"
}

fn signal() -> impl Strategy<Value = Value> {
    let stack = prop_oneof![
        "[a-zA-Z][a-zA-Z0-9-]{0,20}",
        "arn:aws:cloudformation:eu-central-1:123456789012:stack/[a-z]{1,9}/[0-9a-f]{8}",
    ];
    let target = prop_oneof![
        3 => (stack, "[a-zA-Z0-9]{1,20}").prop_map(|(stack, resource)| (Some(json!(stack)), Some(json!(resource)), None)),
        1 => Just((None, None, Some(json!(format!("https://bucket.s3.amazonaws.com/x?X-Amz-Signature={CANARY}"))))),
    ];
    let auth = of(select(vec!["auto", "iam", "instance_identity"]));
    let hook = of("[a-z][a-z -]{0,8}")
        .prop_map(|group| mapping([("name", Some("launch".into())), ("group", group.map(Value::from))]));
    (target, auth, of(span()), of(hook)).prop_map(|((stack, resource, handle), auth, timeout, hook)| {
        let auth = auth.map(Value::from);
        mapping([
            ("stack", stack),
            ("resource", resource),
            ("wait_handle", handle),
            ("auth", auth),
            ("timeout", timeout),
            ("lifecycle_hook", hook),
        ])
    })
}

/// A reference, of each kind and with each selector.
fn reference() -> impl Strategy<Value = Value> {
    let version = ("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").prop_map(Value::from);
    let selected = prop_oneof![
        Just((None, None)),
        "[A-Z]{1,9}".prop_map(|stage| (Some(Value::from(stage)), None)),
        version.prop_map(|version| (None, Some(version))),
    ];
    prop_oneof![
        "(/[a-zA-Z0-9_.-]{1,8}){1,3}(:[0-9]{1,3}|:[a-z]{1,8})?".prop_map(|name| json!({ "ssm": name })),
        "arn:aws:ssm:eu-central-1:123456789012:parameter/[a-z]{1,8}".prop_map(|arn| json!({ "ssm": arn })),
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:[a-z]{1,8}-AbCdEf(:[a-z]{0,5}:[A-Z]{0,5}:)?"
            .prop_map(|arn| json!({ "secretsmanager": arn })),
        ("[a-zA-Z0-9/_+=.@-]{1,20}", of("[a-z]{1,9}"), selected).prop_map(|(name, key, (stage, version))| mapping([
            ("secretsmanager", Some(name.into())),
            ("key", key.map(Value::from)),
            ("version_stage", stage),
            ("version_id", version),
        ])),
    ]
}

fn proxy() -> impl Strategy<Value = Value> {
    let user = prop_oneof![Just(String::new()), Just(format!("me:{CANARY}@")), Just(format!("{CANARY}@"))];
    let entries = vec("\\.?[a-z]{1,8}(\\.[a-z]{1,5})?", 0..3);
    let url = (user, select(vec!["http", "https"]), 1..65535_u16)
        .prop_map(|(user, scheme, port)| format!("{scheme}://{user}proxy.internal:{port}").into());
    let url = prop_oneof![3 => url, 1 => reference()];
    (url, entries).prop_map(|(url, entries)| json!({ "url": url, "no_proxy": entries }))
}

/// A mount option that each filesystem takes, or one for programs that look for it.
fn option() -> impl Strategy<Value = String> {
    prop_oneof!["noatime|nodev|ro|discard", "x-[a-z=0-9]{1,9}"]
}

fn storage() -> impl Strategy<Value = Value> {
    let directory =
        ("[a-z]{1,6}(/[a-z]{1,6})?", of("[0-9]{1,4}:[0-9]{1,4}"), of("0[0-7]{3}")).prop_map(|(path, owner, mode)| {
            mapping([("path", Some(path.into())), ("owner", owner.map(Value::from)), ("mode", mode.map(Value::from))])
        });
    let volume = (path(), select(vec!["xfs", "ext4"]), vec(directory, 0..3), vec(option(), 0..3), any::<bool>());
    vec(volume, 0..4).prop_map(|volumes| {
        let volumes = volumes.into_iter().enumerate();
        let volume = volumes.map(|(index, (mount, filesystem, directories, options, ephemeral))| {
            let device = match ephemeral && index == 0 {
                true => "instance_store".to_owned(),
                false => format!("/dev/xvd{}", char::from(b'b' + u8::try_from(index).unwrap())),
            };
            json!({
                "device": device, "mount": format!("{mount}{index}"), "label": format!("volume{index}"),
                "filesystem": filesystem, "directories": directories, "options": options,
            })
        });
        volume.collect::<Vec<_>>().into()
    })
}

fn docker() -> impl Strategy<Value = Value> {
    let directives = ["debug", "icc", "init", "ipv6", "live-restore", "selinux-enabled", "userland-proxy"];
    let flags = btree_map(select(directives.to_vec()), any::<bool>(), 0..3);
    let daemon = (flags, of(reference())).prop_map(|(flags, token)| {
        let mut daemon = json!(flags);
        if let Some(token) = token {
            daemon["log-opts"] = json!({ "splunk-token": token });
        }
        daemon
    });
    (of(path()), daemon, of(pulls())).prop_map(|(root, daemon, pulls)| {
        mapping([("data_root", root.map(Value::from)), ("daemon", Some(daemon)), ("pull", pulls)])
    })
}

/// Images of several registries, whose names differ.
fn pulls() -> impl Strategy<Value = Value> {
    let host = prop_oneof![
        "([a-z0-9]{1,6}/)?",
        "(localhost|[a-zA-Z0-9-]{0,3}[a-z]\\.local|10\\.0\\.0\\.1|\\[::1\\])(:[0-9]{1,5})?/",
        "[0-9]{12}\\.dkr\\.ecr\\.eu-central-1\\.amazonaws\\.com/",
    ];
    let host = host.prop_filter("a label does not begin with a hyphen", |host| !host.starts_with('-'));
    let tag = of(prop_oneof!["[A-Za-z0-9_][A-Za-z0-9_.-]{0,9}", Just("latest".to_owned())]);
    let pull = (
        host,
        // A first part with a dot would be a host.
        "[a-z0-9]{1,4}((_|__|-{1,3})[a-z0-9]{1,4})?(/[a-z0-9]{1,4}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}){0,2}",
        tag,
        of("[0-9a-f]{64}"),
        of(span()),
        of(any::<bool>()),
    );
    vec(pull, 0..4).prop_map(|pulls| {
        let pulls = pulls.into_iter().enumerate();
        let pull = pulls.map(|(index, (host, path, tag, digest, timeout, required))| {
            let tag = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
            let digest = digest.map(|digest| format!("@sha256:{digest}")).unwrap_or_default();
            let image = format!("{host}{path}{index}{tag}{digest}");
            mapping([("image", Some(image.into())), ("timeout", timeout), ("required", required.map(Value::from))])
        });
        pull.collect::<Vec<_>>().into()
    })
}

/// A regular expression that Go and Rust read alike.
fn expression() -> impl Strategy<Value = String> {
    select(vec!["^\\d{4}-", "(?i)error|warn", "[^\\]x]+ \\[", "(?P<name>a){2,9}", "\\.\\x41\\t", "\"'`é"])
        .prop_map(str::to_owned)
}

fn log_file() -> impl Strategy<Value = Value> {
    let directives = "(%Y|%y)[-/ T]%-?m[-/]%-?d[ T\\[](%H|%-?I%p):%-?M(:%-?S([.,]%f)?)?(Z| %z)?";
    let names =
        (of("[A-Za-z0-9_/.#-]{1,9}(\\{date\\})?"), of("[ -#%-)+-9;-z|~é]{1,9}(\\{hostname\\}|\\$\\{region\\})?"));
    let filter = (select(vec!["include", "exclude"]), expression())
        .prop_map(|(kind, expression)| json!({ "type": kind, "expression": expression }));
    let reading = (of(directives), of(Just("utc")), of(expression()), of(select(vec!["utf-16", "latin1"])));
    ("(/[a-zA-Z0-9_-]{1,8}){1,3}(\\.log|/\\*\\.log|/\\*\\*)?", names, reading, vec(filter, 0..3), of(expression()))
        .prop_map(|(path, (group, stream), (format, zone, start, encoding), filters, exclude)| {
            mapping([
                ("path", Some(path.into())),
                ("group", group.map(Value::from)),
                ("stream", stream.map(Value::from)),
                ("timestamp_format", format.map(Value::from)),
                ("timezone", zone.map(Value::from)),
                ("multi_line_start_pattern", start.map(Value::from)),
                ("encoding", encoding.map(Value::from)),
                ("filters", Some(filters.into())),
                ("exclude", exclude.map(Value::from)),
            ])
        })
}

/// Files whose paths differ, as those of a document that is right do.
fn log_files() -> impl Strategy<Value = Value> {
    vec(log_file(), 0..3).prop_map(|mut files| {
        for (index, file) in files.iter_mut().enumerate() {
            file["path"] = format!("/{index}{}", file["path"].as_str().unwrap()).into();
        }
        files.into()
    })
}

fn logs() -> impl Strategy<Value = Value> {
    let group = of(select(vec!["fixed/name", "${region}/${account}", "{account_id}/{date}"]));
    let agent = select(vec!["auto", "cloudwatch", "awslogs", "none"]);
    let whole = (
        of(select(vec!["STANDARD", "INFREQUENT_ACCESS"])),
        of(Just("arn:aws:iam::123456789012:role/logs")),
        of(select(vec!["eu-west-1", "us-gov-east-1"])),
    );
    (agent, group, of(select(vec![1, 30, 1096, 3653])), log_files(), any::<bool>(), whole).prop_map(
        |(agent, group, days, files, journal, (class, role, region))| {
            mapping([
                ("agent", Some(agent.into())),
                ("group", group.map(Value::from)),
                ("retention_days", days.map(Value::from)),
                ("files", Some(files)),
                ("journal", Some(journal.into())),
                ("class", class.map(Value::from)),
                ("role_arn", role.map(Value::from)),
                ("region", region.map(Value::from)),
            ])
        },
    )
}

fn ecs() -> impl Strategy<Value = Value> {
    let cluster = prop_oneof!["[a-zA-Z0-9_-]{1,20}", "arn:aws:ecs:us-east-1:123456789012:cluster/[a-zA-Z0-9_-]{1,20}"];
    let auth = json!({ "https://index.docker.io/v1/": { "username": "me", "password": CANARY } });
    let config = (of(any::<bool>()), of(0..4096_u32), of(prop_oneof![Just(auth), reference()]), of(any::<bool>()))
        .prop_map(|(draining, memory, auth, warm)| {
            mapping([
                ("ECS_ENABLE_SPOT_INSTANCE_DRAINING", draining.map(Value::from)),
                ("ECS_RESERVED_MEMORY", memory.map(Value::from)),
                ("ECS_ENGINE_AUTH_DATA", auth),
                ("ECS_WARM_POOLS_CHECK", warm.map(Value::from)),
            ])
        });
    (cluster, btree_map("[a-z]{1,9}", "[a-z0-9]{1,9}", 0..3), btree_map("[a-z]{1,9}", "[a-z0-9]{1,9}", 0..3), config)
        .prop_map(|(cluster, attributes, tags, config)| {
            json!({ "cluster": cluster, "attributes": attributes, "tags": tags, "config": config })
        })
}

/// Hooks at the points of a boot; those after the start of Docker only where something registers.
fn hooks(registers: bool) -> impl Strategy<Value = Value> {
    let run = prop_oneof![
        ("/[a-z]{1,8}|[a-z]{1,8}", vec("\\PC{0,8}", 0..3)).prop_map(|(program, rest)| {
            let list = std::iter::once(program).chain(rest).map(Value::from);
            list.collect::<Vec<_>>().into()
        }),
        "[a-z]{1,9} [ -~]{0,20}".prop_map(Value::from),
    ];
    let hook = (run, of(span()), of(select(vec!["fail", "warn"])), of(any::<bool>()), 0..3_usize);
    vec(hook, 0..5).prop_map(move |hooks| {
        let mut points = [Vec::new(), Vec::new(), Vec::new()];
        for (index, (run, timeout, on_failure, every_boot, point)) in hooks.into_iter().enumerate() {
            points[if registers { point } else { 0 }].push(mapping([
                ("name", Some(format!("hook-{index}").into())),
                ("run", Some(run)),
                ("timeout", timeout),
                ("on_failure", on_failure.map(Value::from)),
                ("every_boot", every_boot.map(Value::from)),
            ]));
        }
        let [before_docker, before_ecs, after_registration] = points;
        json!({ "before_docker": before_docker, "before_ecs": before_ecs, "after_registration": after_registration })
    })
}

fn aws() -> impl Strategy<Value = Value> {
    (of(any::<bool>()), of(any::<bool>())).prop_map(|(fips, dual_stack)| {
        mapping([("fips", fips.map(Value::from)), ("dual_stack", dual_stack.map(Value::from))])
    })
}

fn on_failure() -> impl Strategy<Value = Value> {
    (of(Just(json!("unhealthy"))), of(Just(json!("off"))))
        .prop_map(|(health, power)| mapping([("health", health), ("power", power)]))
}

/// Documents that are right by construction; JSON is YAML.
pub fn document() -> impl Strategy<Value = String> {
    let ecs_and_hooks =
        of(ecs()).prop_flat_map(|ecs| (of(hooks(ecs.is_some())), Just(ecs)).prop_map(|(hooks, ecs)| (ecs, hooks)));
    let sections = (
        of(signal()),
        of(proxy()),
        of(storage()),
        of(docker()),
        of(logs()),
        ecs_and_hooks,
        span(),
        of(on_failure()),
        of(aws()),
    );
    sections.prop_map(|(signal, proxy, storage, docker, logs, (ecs, hooks), timeout, on_failure, aws)| {
        let config = mapping([
            ("signal", signal),
            ("proxy", proxy),
            ("storage", storage),
            ("docker", docker),
            ("logs", logs),
            ("hooks", hooks),
            ("ecs", ecs),
            ("aws", aws),
            ("on_failure", on_failure),
            // Longer than the default, so that the document is never one that configures nothing.
            ("wait", Some(json!({ "timeout": timeout }))),
        ]);
        format!("#ecs-firstrun\n{config}\n")
    })
}
