#!/bin/sh
# The owner's HTTP calls, as written, in his six groups. All that is not his is the address:
#   header_calls.sh http://localhost:8010
# Environment of the gateway and the workers: AWS_DEFAULT_REGION, AWS_ACCESS_KEY_ID,
# AWS_SECRET_ACCESS_KEY, and a bucket northstar-raw-test.
set -u
BASE=${1:-http://localhost:8010}
failed=0

# check <what> <status wanted> <text wanted in the answer>: of what stands in $answer.
check() {
    status=$(printf '%s' "$answer" | tail -n 1)
    body=$(printf '%s' "$answer" | sed '$d')
    if [ "$status" = "$2" ] && printf '%s' "$body" | grep -qF -- "$3"; then
        echo "ok      $1"
    else
        echo "FAILED  $1: wanted $2 with $3, got $status with: $body"
        failed=1
    fi
}

call() {
    answer=$(curl -sS -w '\n%{http_code}' "$@")
}

echo "1. S3 object store"
call -X POST $BASE/routing/routes \
  -H "Content-Type: application/json" \
  -H "X-Tenant-Id: t_demo" \
  -H "X-Mode: lab" \
  -d '{
    "resource_kind": "object_store",
    "backend_type": "s3",
    "config": {"bucket": "northstar-raw-test"},
    "tenant_id": "t_demo",
    "env": "dev"
  }'
check "create an S3 route" 200 '"backend_type":"s3"'
call -X POST $BASE/nexus/raw/put \
  -H "X-Tenant-Id: t_demo" \
  -H "X-Mode: lab" \
  -H "X-Key: lane4/test_document.txt" \
  --data-binary "RunningStack 4 S3 test content"
check "put" 200 '"s3://northstar-raw-test/tenants/t_demo/dev/raw/lane4/test_document.txt"'
call -X GET "$BASE/nexus/raw/get?key=lane4/test_document.txt" \
  -H "X-Tenant-Id: t_demo" \
  -H "X-Mode: lab"
check "get the same bytes" 200 "RunningStack 4 S3 test content"

echo "2. Tabular store on Firestore"
call -X POST $BASE/routing/routes \
  -H "Content-Type: application/json" -H "X-Tenant-Id: t_demo" -H "X-Mode: lab" \
  -d '{"resource_kind": "tabular_store", "backend_type": "firestore", "config": {"project": "gcp-project-id"}, "tenant_id": "t_demo", "env": "dev"}'
check "create a Firestore route" 200 '"backend_type":"firestore"'
call -X POST $BASE/storage/tabular/policies/upsert \
  -H "Content-Type: application/json" -H "X-Tenant-Id: t_demo" -H "X-Mode: lab" \
  -d '{"table_name": "policies", "key": "policy_test", "data": {"type": "firestore_test"}}'
check "upsert" 200 '"key":"policy_test"'
call -X POST $BASE/routing/routes \
  -H "Content-Type: application/json" -H "X-Tenant-Id: t_demo" -H "X-Mode: lab" \
  -d '{"resource_kind": "object_store", "backend_type": "firestore", "config": {"project": "gcp-project-id"}, "tenant_id": "t_demo", "env": "dev"}'
check "a kind that has no such backend" 501 'object_store is supported on: filesystem, s3, azure_blob'

echo "3. Metrics store on Firestore"
call -X POST $BASE/routing/routes \
  -H "Content-Type: application/json" -H "X-Tenant-Id: t_demo" -H "X-Mode: lab" \
  -d '{"resource_kind": "metrics_store", "backend_type": "firestore", "config": {"project": "gcp-project-id"}, "tenant_id": "t_demo", "env": "dev"}'
check "create a route" 200 '"kind":"metrics_store"'
call -X POST $BASE/storage/metrics/cpu_load/ingest \
  -H "Content-Type: application/json" -H "X-Tenant-Id: t_demo" -H "X-Mode: lab" \
  -d '{"value": 0.75, "labels": {"host": "a"}}'
check "ingest" 200 '"points":1'

echo "4. Timeline on Firestore"
call -X POST $BASE/routing/routes \
  -H "Content-Type: application/json" -H "X-Tenant-Id: t_system" -H "X-Mode: t_system" \
  -d '{"resource_kind": "event_stream", "backend_type": "firestore", "config": {"project": "gcp-project-id"}, "tenant_id": "t_system", "env": "dev"}'
check "create a route" 200 '"kind":"event_stream"'
call -X POST $BASE/storage/timeline/deployments/append \
  -H "Content-Type: application/json" -H "X-Tenant-Id: t_system" -H "X-Mode: t_system" \
  -d '{"type": "release.deployed", "data": {"version": "1.2.3"}}'
check "append" 200 '"stream":"deployments"'

echo "5. Flipping"
call -X POST $BASE/routing/routes -H "Content-Type: application/json" -H "X-Tenant-Id: t_demo" -H "X-Mode: lab" \
  -d '{"resource_kind": "object_store", "backend_type": "filesystem", "config": {"base_dir": "var/object_store"}}'
check "to the filesystem" 200 '"backend_type":"filesystem"'
call -X POST $BASE/nexus/raw/put -H "X-Tenant-Id: t_demo" -H "X-Key: lane4/flip_test_fs.txt" --data-binary "Stored in filesystem"
check "put" 200 '"filesystem:///'
call -X POST $BASE/routing/routes -H "Content-Type: application/json" -H "X-Tenant-Id: t_demo" -H "X-Mode: lab" \
  -d '{"resource_kind": "object_store", "backend_type": "s3", "config": {"bucket": "northstar-raw-test"}}'
check "to S3" 200 '"backend_type":"s3"'
call -X POST $BASE/nexus/raw/put -H "X-Tenant-Id: t_demo" -H "X-Key: lane4/flip_test_s3.txt" --data-binary "Stored in S3"
check "put through the same call" 200 '"s3://northstar-raw-test/tenants/t_demo/dev/raw/lane4/flip_test_s3.txt"'
call -X POST $BASE/routing/routes -H "Content-Type: application/json" -H "X-Tenant-Id: t_demo" -H "X-Mode: saas" \
  -d '{"resource_kind": "object_store", "backend_type": "filesystem", "config": {"base_dir": "var/object_store"}}'
check "the guard" 403 '"error_code":"FORBIDDEN_BACKEND_CLASS"'

echo "6. A tenant without routes"
call -X POST $BASE/nexus/raw/put -H "X-Tenant-Id: t_norouteyet" -H "X-Mode: lab" -H "X-Key: test.txt" --data-binary "Should fail"
check "put" 500 '"detail":"No route configured for object_store in t_norouteyet/dev. Configure via /routing/routes..."'

exit $failed
