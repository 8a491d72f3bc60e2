#include "layout.h"

#include <kvstore/abi/api.h>
#include <kvstore/abi/log.h>
#include <kvstore/abi/plugin.h>
#include <kvstore/abi/state.h>
#include <kvstore/abi/transport.h>

const layout_line kLayoutInC[] = {
#include "layout_members.h"
    {NULL, 0, 0}};
