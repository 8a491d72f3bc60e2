# find_package(kvstore): kvstore::abi (the C headers), kvstore::sdk (the C++ helpers) and
# kvs_add_plugin().  <kvstore/sdk/options.hpp> needs nlohmann_json besides, which is the user's to find.
include(${CMAKE_CURRENT_LIST_DIR}/kvstoreTargets.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/KvsAddPlugin.cmake)
