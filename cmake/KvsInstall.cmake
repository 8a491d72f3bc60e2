# `cmake --install`: the usual prefix layout.  The daemon finds its plugins in ../lib/kvstore/plugins
# from its own place, so the tree can be moved as a whole.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS kvstore-server kvstore-client RUNTIME DESTINATION bin)
install(TARGETS storage-leveldb storage-sqlite transport-thrift api-http
  LIBRARY DESTINATION lib/kvstore/plugins)
install(DIRECTORY config/ DESTINATION ${CMAKE_INSTALL_DATADIR}/kvstore/config FILES_MATCHING PATTERN *.json)
install(FILES README.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# For plugin authors: find_package(kvstore), target kvstore::sdk, kvs_add_plugin().
install(DIRECTORY core/abi/include/kvstore core/sdk/include/kvstore DESTINATION include)
install(FILES core/abi/VERBS.md core/abi/COMPATIBILITY.md core/abi/CHANGES.md
  DESTINATION ${CMAKE_INSTALL_DOCDIR}/abi)
# For programs that use a cluster: find_package(kvstore COMPONENTS client), target kvstore::client.
install(DIRECTORY client/include/kvstore DESTINATION include)
set(KVS_PACKAGE_DIR lib/cmake/kvstore)
set_target_properties(kvstore_abi PROPERTIES EXPORT_NAME abi)
set_target_properties(kvstore_sdk PROPERTIES EXPORT_NAME sdk)
install(TARGETS kvstore_abi kvstore_sdk EXPORT kvstoreTargets)
install(EXPORT kvstoreTargets NAMESPACE kvstore:: DESTINATION ${KVS_PACKAGE_DIR})
set_target_properties(kvstore_client PROPERTIES EXPORT_NAME client)
install(TARGETS kvstore_client EXPORT kvstoreClientTargets
  ARCHIVE DESTINATION lib INCLUDES DESTINATION include)
install(EXPORT kvstoreClientTargets NAMESPACE kvstore:: DESTINATION ${KVS_PACKAGE_DIR})
install(FILES cmake/kvstoreConfig.cmake core/sdk/cmake/KvsAddPlugin.cmake core/sdk/cmake/plugin.map
  DESTINATION ${KVS_PACKAGE_DIR})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/kvstoreConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/kvstoreConfigVersion.cmake DESTINATION ${KVS_PACKAGE_DIR})
