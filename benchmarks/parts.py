"""All parts, in the order in which they are measured and stand in the document."""

from __future__ import annotations

from benchmarks import named
from benchmarks.batch import batch_cost
from benchmarks.buffer import buffer_cost
from benchmarks.bulk import bulk_cost
from benchmarks.cloud_bulk import dynamodb_bulk, firestore_bulk
from benchmarks.control import control_cost
from benchmarks.envelope import envelope_cost
from benchmarks.fence import fence_cost
from benchmarks.flips import flip_cost
from benchmarks.gateway import gateway_cost
from benchmarks.growth.backlog import backlog_growth
from benchmarks.growth.drain import drain_growth
from benchmarks.growth.mixed import mixed_growth
from benchmarks.growth.nodes import node_growth
from benchmarks.growth.processes import process_growth
from benchmarks.growth.routes import route_growth
from benchmarks.growth.tenants import tenant_growth
from benchmarks.ingest import ingest_cost
from benchmarks.ledger import ledger_cost
from benchmarks.part import Part
from benchmarks.replicas import replica_cost
from benchmarks.signing import signing_cost
from benchmarks.start import start_cost

PARTS = (
    Part(
        "queues",
        "a",
        "Beside other queues",
        "The same durable 1 KiB put through each, with the settings that each recommends, on the "
        "same Redis and the same disk, with two worker processes each, enqueued by four threads "
        "(of one client of Signalbox: what these submit singly at the same time shares a round "
        "trip). "
        "The others have no ledger: they give the put and no promise. Contenders take turns in "
        "nine short rounds (A B C …, A B C …); meanwhile the workers of the others are up but "
        "stopped (SIGSTOP), since idle ones poll (taskiq's wait in one read, which does not bear "
        "it), and each turn begins with four commands that are not counted. A ratio is the median"
        " of the ratios within the rounds; *runs differ by* is how far the medians of the first, "
        "second and third three rounds are apart. *A sync of the disk* is the `fdatasync` of a "
        "small append before each turn. Of Signalbox a turn lasts to the last recorded outcome, "
        "of the others to the last effect. *The ceiling* is a bare Celery task with 100 puts in "
        "it: one message, one task and one transaction, without a guarantee for each. Rows, "
        "points, events (each to a stream of its own) and deletes of Signalbox stand beside the "
        "same single puts of the others; Huey and Dramatiq have no message of many calls, taskiq "
        "no form of many.",
        named.queues,
    ),
    Part(
        "batch",
        "a",
        "Signalbox, singly and in batches",
        "Durable 1 KiB puts on the embedded object store, from submit to outcome: one thread that "
        "submits, two worker processes. A thread that submits singly waits for the ledger's sync "
        "each time; several threads, or the client's buffer, get more accepted.",
        batch_cost,
        quick=True,
    ),
    Part(
        "ledger",
        "a",
        "The ledger alone",
        "Each step of 1 KiB puts against the state Redis, in one thread, without workers: medians "
        "of the calls, divided by the commands in each. Parcels are the ordinary way; a record of "
        "its own has what is not ordinary, such as a second attempt.",
        ledger_cost,
        quick=True,
    ),
    Part(
        "replicas",
        "a",
        "Replicas that are waited for",
        "Durable 1 KiB puts with `SIGNALBOX_STATE_REPLICAS` 0 and 1, each on a primary with one "
        "replica, both of which sync every write; two worker processes, which wait as the client "
        "does. In turns, medians of four rounds. *A submit* is how long the client waits until "
        "the ledger has it, with nothing else on its way. All servers stand on one machine and "
        "share one disk: what a network adds is not in it.",
        replica_cost,
    ),
    Part(
        "envelope",
        "a",
        "The strict reading of messages",
        "What is done with each message before Celery sees it, in one thread: its bytes, as Redis "
        "has them, to what the pool is given. Beside it what kombu and Celery do instead, which "
        "read the body twice; and the processor time of a durable 1 KiB put, submitted singly.",
        envelope_cost,
    ),
    Part(
        "buffer",
        "a",
        "The client's buffer",
        "Durable 1 KiB puts by one thread that has one command at a time: each submitted, or added "
        "to a buffer that hands many over together. Two worker processes.",
        buffer_cost,
    ),
    Part(
        "gateway",
        "a",
        "The gateway",
        "Durable 1 KiB puts and gets over HTTP, 64 connections with one request at a time, on the "
        "embedded object store: through one gateway and two worker processes, and by a FastAPI "
        "route that calls the same adapter on a thread for each request, without queue, ledger, "
        "route or policy. The better of two rounds of puts each, in turns; clients are a process "
        "of their own on the same machine. Gets at half load come by chance (a Poisson process), "
        "and their times count from when they were to be sent; p50 and p99 are each the median "
        "of three rounds. Processor time is that of one request.",
        gateway_cost,
        quick=True,
    ),
    Part(
        "pools",
        "a",
        "Pools of a worker",
        "One worker, 400 durable 1 KiB puts on their way: on a backend that waits (an S3 that "
        "takes 20 ms to answer) and on one that computes (the embedded store).",
        named.pools,
    ),
    Part(
        "s3-small",
        "b",
        "1 KiB on S3",
        "Against a stub in memory, in a process of its own: operations a second of processor time "
        "of the client's process, best of three rounds.",
        named.s3_small,
    ),
    Part(
        "bulk",
        "c",
        "The embedded stores",
        "Writes of every kind straight into the adapter, past queue and route: one thread, each "
        "call durable before it answers. The making of the commands is not counted.",
        bulk_cost,
        quick=True,
    ),
    Part(
        "firestore",
        "c",
        "Firestore",
        "The same against Google's emulator on this machine. Its times say nothing of the cloud; "
        "the ratio says what the bulk form saves.",
        firestore_bulk,
    ),
    Part(
        "dynamodb",
        "c",
        "DynamoDB",
        "The same against a moto server, which handles one request at a time and works for each "
        "item of a batch as for a single one: in the cloud, where round trips are what takes "
        "time, a batch saves more.",
        dynamodb_bulk,
    ),
    Part(
        "fence",
        "d",
        "Lookup and fence",
        "A worker's lookup of a route it knows, against asking Redis; and what the claim's round "
        "trip takes more because it reads the fences.",
        fence_cost,
        quick=True,
    ),
    Part(
        "signing",
        "d",
        "Signed commands",
        "The same 1 KiB puts by a client with a key, to workers that require signatures, and "
        "unsigned to workers that ask for none, in turns of one run: processor time of client, "
        "workers and Redis together. Of a submission one signature is made and verified, whatever "
        "its size.",
        signing_cost,
    ),
    Part(
        "flips",
        "d",
        "A route switched under load",
        "One route is switched between two folders as fast as possible, while two streams put "
        "objects through it. Of each outcome Redis' own clock says which route was current at the "
        "claim; an older one would be a command on an old route.",
        flip_cost,
    ),
    Part(
        "control",
        "d",
        "With 100,000 routes",
        "Start of workers, lookups, pages of the system view, changes, how soon eight processes "
        "know of a change (the best of three rounds), and what quotas cost.",
        control_cost,
    ),
    Part(
        "ingest",
        "e",
        "Many lines from standard input",
        "`signalbox table upsert TABLE -` with two workers, as a process of its own, and the most "
        "memory that it and a worker took meanwhile.",
        ingest_cost,
    ),
    Part(
        "s3-large",
        "e",
        "1 GiB to S3",
        "Against the same stub, each upload in a process of its own, boto3's own `upload_fileobj` "
        "beside it.",
        named.s3_large,
    ),
    Part(
        "processes",
        "f",
        "Worker processes",
        "Durable 1 KiB puts, 100 a submit. Producer and Redis share the cores with the workers: "
        "with as many busy processes as cores, more workers add nothing.",
        process_growth,
    ),
    Part(
        "nodes",
        "f",
        "Nodes of a Redis Cluster",
        "The ledger alone: accept, take and end of 1 KiB puts, 100 a call, of 128 tenants in "
        "turn, by four threads of one process; every node syncs each write. In turns, medians of "
        "four rounds. Client and nodes share the cores of this machine, so it is not throughput "
        "that shows what a node adds, but what is left for each to do: *the busiest* has its "
        "processor time divided by all commands, whichever node had them, and could carry so many"
        " a second on a core of its own.",
        node_growth,
    ),
    Part(
        "routes",
        "f",
        "Routes",
        "Durable 1 KiB puts, 100 a submit, of ten tenants in turn, while the registry holds the "
        "routes of others beside theirs. Medians of three rounds.",
        route_growth,
        quick=True,
    ),
    Part(
        "tenants",
        "f",
        "Tenants",
        "Durable 1 KiB puts, 100 a submit; each submit is one tenant's, and tenants take turns. "
        "Medians of three rounds.",
        tenant_growth,
        quick=True,
    ),
    Part(
        "mixed",
        "f",
        "Many tenants in one submit",
        "1,000 durable 1 KiB puts a submit, of so many tenants in turn: a parcel for each of "
        "them, and a file of the embedded store, which is synced for itself. What the store takes"
        " for them is measured in a process of its own, and the rest is what all others take: "
        "client, ledger, queue and workers. Medians of three rounds.",
        mixed_growth,
    ),
    Part(
        "backlog",
        "f",
        "Backlog in the ledger",
        "The ledger alone: 1 KiB puts are accepted, 100 a call, and 400 are taken and ended in "
        "one, while so many commands of twenty tenants stay open. Every second turn is of a "
        "tenant with a backlog, of which the oldest are taken. Processor time of one client and "
        "Redis. Memory is what Redis says it uses, 100 commands a parcel.",
        backlog_growth,
        quick=True,
    ),
    Part(
        "drain",
        "f",
        "A backlog that is worked off",
        "So many durable 1 KiB puts of one tenant are open when two workers go on; until the last "
        "outcome. Processor time is that of workers and Redis alone.",
        drain_growth,
    ),
    Part(
        "start",
        "g",
        "How soon the command line answers",
        "Processes that need no server, from their start to their end, and a Python that does "
        "nothing, in turns. A ratio is the median of those within a turn. `backends` looks for "
        "those of other distributions, too, which takes longer the more packages are installed.",
        start_cost,
        quick=True,
    ),
)
