/**
 * What NVIDIA's catalogue says about errors of NVLink 5 (Xid 144 to 150), whose code alone says little: code, unit, low
 * bits of the first word (10 in the first layout of the driver, 7 in the second), sub-code, values of the second word,
 * level, action, hint. https://docs.nvidia.com/deploy/xid-errors/
 */
export const nvlinkTable = `
144|SAW_MVB|021|01|0|1,4,8,20|info|none|
144|SAW_MVB|021|01|0|2,10|critical|reset_gpu|
145|RLW_CTRL|062|03|0|80000000|info|none|
145|RLW_REMAP|082|04|0|1,2,4,8,10,20|warning|check_application|
145|RLW_REMAP|082|04|0|40,80|critical|reset_gpu|
145|RLW_REMAP|082|04|0|100,200,80000000|info|none|
145|RLW_RSPCOL|0a2|05|0|1,80000000|info|none|
145|RLW_RSPCOL|0a2|05|0|2|critical|reset_gpu|
145|RLW_RXPIPE|0c2|06|0|1,2,4,8,80000000|info|none|
145|RLW_SRC_TRACK|0e2|07|0|1,10,20|critical|reset_gpu|
145|RLW_SRC_TRACK|0e2|07|0|2,80000000|info|none|
145|RLW_SRC_TRACK|0e2|07|0|4,8|warning|check_application|
145|RLW_TAGSTATE|102|08|0|1,10000,80000000|info|none|
145|RLW_TAGSTATE|102|08|0|2,20000,100000|critical|reset_gpu|
146|TLW_CTRL|123|09|0|1,2,80000000|info|none|
146|TLW_CTRL|123|09|0|4|critical|reset_gpu|
146|TLW_RX|143|0a|0|1,2,80000000|info|none|
146|TLW_RX|143|0a|0|4|critical|reset_gpu|
146|TLW_RX|143|0b|0|1,2,80000000|info|none|
146|TLW_RX|143|0b|0|4|critical|reset_gpu|
146|TLW_TX|163|0c|0|1,2,80000000|info|none|
146|TLW_TX|163|0c|0|4|critical|reset_gpu|
146|TLW_TX|163|0d|0|1,2,80000000|info|none|
146|TLW_TX|163|0d|0|4|critical|reset_gpu|
147|TREX|184|0e|0|1,80000000|info|none|
148|NVLPW|005|0f|0|80000000|info|none|
149|NETIR_INT|006|18|0|0|critical|reset_gpu|follows from another error unless it stands alone
149|NETIR_BER_EVENT|226|13|0|0,1,2,3|info|none|suspect the signal of the link and its cables
149|NETIR_LINK_DOWN|1c6|11|0|0|critical|reset_gpu|follows from another error unless it stands alone
149|NETIR_LINK_DOWN|1c6|11|1|0|critical|reset_gpu|report it when it comes more than once a day
149|NETIR_LINK_DOWN|1c6|11|2|0|critical|reset_gpu|suspect the signal of the link
149|NETIR_LINK_DOWN|1c6|11|4|0|critical|inspect_hardware|suspect the signal of the link
149|NETIR_LINK_DOWN|1c6|11|10|0|critical|inspect_hardware|suspect the signal of the link
149|NETIR_LINK_DOWN|1c6|11|15|0|critical|reset_gpu|taken down by software or by hand
149|NETIR_LINK_DOWN|1c6|11|16|0|critical|reset_gpu|taken down by software or by hand, or a bad signal
149|NETIR_LINK_DOWN|1c6|11|17|0|critical|reset_gpu|taken down by software or by hand
149|NETIR_LINK_DOWN|1c6|11|18|0|critical|reset_gpu|taken down by software or by hand, or a bad signal
149|NETIR_LINK_DOWN|1c6|11|21|0|critical|reset_gpu|suspect the device at the other end
149|NETIR_LINK_DOWN|1c6|11|22|0|critical|reset_gpu|taken down by software or by hand
149|NETIR_LINK_DOWN|1c6|11|32|0|critical|reset_gpu|suspect the device at the other end
149|NETIR_LINK_DOWN|1c6|11|33|0|critical|reset_gpu|suspect the device at the other end
149|NETIR_LINK_DOWN|1c6|11|34|0|critical|reset_gpu|suspect the device at the other end
149|NETIR_LINK_DOWN|1c6|11|35|0|critical|reset_gpu|suspect the device at the other end
149|NETIR_LINK_DOWN|1c6|11|36|0|critical|reset_gpu|suspect the device at the other end
149|NETIR_LINK_DOWN|1c6|11|37|0|critical|reset_gpu|suspect the device at the other end
149|NETIR_LINK_DOWN|1c6|11|38|0|warning|check_configuration|taken down by software or by hand
149|NETIR_LINK_DOWN|1c6|11|40|0|warning|check_configuration|suspect the host
149|NETIR_LINK_DOWN|1c6|11|42|0|critical|reset_gpu|suspect the signal of the link and its cables
149|NETIR_LINK_DOWN|1c6|11|43|0|critical|reset_gpu|suspect the signal of the link and its cables
149|NETIR_MFDE_EVENT|246|14|0|1,4,5,7|critical|reset_gpu|
149|NETIR_MFDE_EVENT|246|14|0|3|info|none|
150|MSE_WATCHDOG|000|00|0|0|critical|reset_gpu|
`;
