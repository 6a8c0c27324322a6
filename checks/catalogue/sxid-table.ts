/**
 * Every SXid of an NVSwitch: code, level, action, mnemonic (none), title. The switch's own word in the log, Fatal or
 * Non-fatal, goes before this level. https://docs.nvidia.com/datacenter/tesla/fabric-manager-user-guide/
 */
export const sxidTable = `
10001|info|none||Host privilege error
10002|info|none||Host privilege timeout
10003|critical|reboot||Host unhandled interrupt
10004|warning|inspect_hardware||Host thermal event started
10005|info|none||Host thermal event ended
11001|critical|reboot||Ingress invalid command
11004|critical|reboot||Ingress invalid ACL
11009|critical|reboot||Ingress invalid VCSet
11012|info|none||Single bit ECC errors
11013|critical|reboot||Ingress header DBE
11018|critical|reboot||Ingress RID DBE
11019|critical|reboot||Ingress RLAN DBE
11020|critical|reboot||Ingress control parity
11021|info|none||Single bit ECC errors
11022|info|none||Single bit ECC errors
11023|info|none||Single bit ECC errors
12001|critical|reboot||Egress crossbar overflow
12002|critical|reboot||Egress packet route
12020|critical|reboot||Egress sequence ID error
12021|info|none||Single bit ECC errors
12022|critical|reboot||Egress input ECC DBE error
12023|info|none||Single bit ECC errors
12024|critical|reboot||Egress output ECC DBE error
12025|critical|reboot||Egress credit overflow
12026|critical|reboot||Egress destination request ID error
12027|critical|reboot||Egress destination response ID error
12028|critical|reboot||Egress nonposted PRIV error
12030|info|none||Egress control parity error
12031|critical|reboot||Egress credit parity error
12032|critical|reboot||Egress flit type mismatch
14017|critical|reboot||TS ATO timeout
15001|critical|reboot||Route buffer over/underflow
15006|critical|reboot||Route transdone over/underflow
15008|info|none||Single bit ECC errors
15009|critical|reboot||Route GLT DBE
15010|critical|reboot||Route parity
15011|info|none||Single bit ECC errors
15012|critical|reboot||Route incoming DBE
15013|critical|reboot||Route credit parity
19047|critical|reboot||NCISOC HDR ECC DBE Error
19048|critical|reboot||NCISOC DAT ECC DBE Error
19049|info|none||Single bit ECC errors
19054|critical|reboot||HDR RAM ECC DBE Error
19055|info|none||Single bit ECC errors
19056|critical|reboot||DAT0 RAM ECC DBE Error
19057|info|none||Single bit ECC errors
19058|critical|reboot||DAT1 RAM ECC DBE Error
19059|info|none||Single bit ECC errors
19060|critical|reboot||CREQ RAM HDR ECC DBE Error
19061|critical|reboot||CREQ RAM DAT ECC DBE Error
19062|info|none||Single bit ECC errors
19063|critical|reboot||Response RAM HDR ECC DBE Error
19064|critical|reboot||Response RAM DAT ECC DBE Error
19065|info|none||Single bit ECC errors
19066|critical|reboot||COM RAM HDR ECC DBE Error
19067|critical|reboot||COM RAM DAT ECC DBE Error
19068|info|none||Single bit ECC errors
19069|critical|reboot||RSP1 RAM HDR ECC DBE Error
19070|critical|reboot||RSP1 RAM DAT ECC DBE Error
19071|info|none||Single bit ECC errors
19084|critical|reboot||AN1 Heartbeat Timeout Error
20001|info|none||TX Replay Error
20009|info|none||RX Short Error Rate
20012|warning|inspect_hardware||Broken/inconsistent connection
20034|critical|reboot||LTSSM Fault Up
22003|critical|reboot||Minion Halt
22011|critical|reboot||Minion exterror
22012|critical|reboot||Minion Link NA interrupt
22013|info|none||Minion Link DLREQ interrupt
23001|critical|reboot||Ingress SRC-VC buffer overflow
23002|critical|reboot||Ingress SRC-VC buffer underflow
23003|critical|reboot||Egress DST-VC credit overflow
23004|critical|reboot||Egress DST-VC credit underflow
23005|critical|reboot||Ingress packet burst error
23006|critical|reboot||Ingress packet sticky error
23007|critical|reboot||Possible bubbles at ingress
23008|critical|reboot||Ingress packet invalid dst error
23009|critical|reboot||Ingress packet parity error
23010|critical|reboot||Ingress SRC-VC buffer overflow
23011|critical|reboot||Ingress SRC-VC buffer underflow
23012|critical|reboot||Egress DST-VC credit overflow
23013|critical|reboot||Egress DST-VC credit underflow
23014|critical|reboot||Ingress packet burst error
23015|critical|reboot||Ingress packet sticky error
23016|critical|reboot||Possible bubbles at ingress
23017|critical|reboot||Ingress credit parity error
24001|info|none||Single bit ECC errors
24002|info|none||Single bit ECC errors
24003|info|none||Single bit ECC errors
24004|critical|reboot||Sourcetrack TCEN0 crubmstore DBE
24005|critical|reboot||Sourcetrack TCEN0 TD crubmstore DBE
24006|critical|reboot||Sourcetrack TCEN1 crubmstore DBE
24007|critical|reboot||Sourcetrack timeout error
`;
