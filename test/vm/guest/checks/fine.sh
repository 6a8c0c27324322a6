echo '# TYPE vm_fine gauge'
echo "vm_fine{paths=\"$(jq -r '.paths | length' <<<"$CONFIG")\"} 1"
