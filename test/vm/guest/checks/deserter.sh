# Ends well and leaves a process that has cut every tie to it.
echo 'vm_deserter 1'
(setsid nohup sleep 600 </dev/null >/dev/null 2>&1 &)
